"""Quantization of any float .tflite after training: calibrate once, quantize, look at the errors.

    python examples/quantize_file.py FLOAT.tflite SAMPLES.npy OUTPUT.tflite

SAMPLES.npy holds samples along its first axis, as the model's input wants them.
"""

import sys

import int8x
import numpy as np
from rich import print


def main(model: str, samples: str, output: str) -> None:
    data = np.load(samples)
    stats = int8x.calibrate(model, data)
    graph = int8x.quantize(model, stats=stats)
    graph.save(output)
    report = int8x.validate(model, output, data[:16])
    print(report.table(), report.operator_table(), report.verdict, sep="\n")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
