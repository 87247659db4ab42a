"""A Keras 2 file as a float .tflite of batch 1: convert_keras2.py MODEL.h5 OUTPUT.tflite. Wants
tf_keras on the path.
"""

import sys
import tempfile
from pathlib import Path

import tensorflow as tf
import tf_keras


def main() -> None:
    source, output = sys.argv[1:]
    model = tf_keras.models.load_model(source, compile=False)
    spec = tf.TensorSpec((1, *model.inputs[0].shape[1:]), tf.float32)
    infer = tf.function(lambda x: model(x, training=False), input_signature=[spec])
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(model, folder, signatures=infer)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        Path(output).write_bytes(converter.convert())


if __name__ == "__main__":
    main()
