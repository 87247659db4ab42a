"""tf.lite's own calibrate-and-quantize on one model, in a process of its own: it can crash.

    run_tensorflow.py FLOAT.tflite CALIBRATION.npy OUTPUT.tflite int8|int16

CALIBRATION.npy has the samples of the one input.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.lite.python.optimize import calibrator


def main() -> None:
    model, data, output, activations = sys.argv[1:]
    samples = np.load(data, allow_pickle=False)
    kind = tf.dtypes.as_dtype(activations)
    bias = tf.int32 if kind == tf.int8 else tf.int64
    quantized = calibrator.Calibrator(Path(model).read_bytes()).calibrate_and_quantize(
        lambda: ([sample[None]] for sample in samples), kind, kind, True, kind, bias
    )
    Path(output).write_bytes(quantized)


if __name__ == "__main__":
    main()
