"""TFMOT's column and its step time, and float training in tf_keras, in the environment `tfmot`:

run_tfmot.py qat NET SEED EPOCHS WEIGHTS.npz OUTPUT.tflite [ordered]
run_tfmot.py float NET SEED EPOCHS WEIGHTS.npz OUTPUT.tflite [ordered]
run_tfmot.py steps NET      prints the median seconds of a float and of a QAT step
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from training import ordered
from training.fit import fit
from training.nets import NETS
from training.steps import time_steps

_FITS = {"": fit, "ordered": ordered.fit}


def _float(net: str, seed: str, epochs: str, weights: str, output: str, order: str = "") -> None:
    model = _model(net, weights)
    _FITS[order](tf_keras, model, int(seed), int(epochs))
    Path(output).write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())


def _qat(net: str, seed: str, epochs: str, weights: str, output: str, order: str = "") -> None:
    model = tfmot.quantization.keras.quantize_model(_model(net, weights))
    _FITS[order](tf_keras, model, int(seed), int(epochs))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    Path(output).write_bytes(converter.convert())


def _model(net: str, weights: str) -> Any:
    """With the weights of the checkpoint."""
    model = NETS[net](tf_keras)
    with np.load(weights) as arrays:
        model.set_weights([arrays[f"arr_{n}"] for n in range(len(arrays.files))])
    return model


def _steps(net: str) -> None:
    def quantized() -> Any:
        return tfmot.quantization.keras.quantize_model(NETS[net](tf_keras))

    kinds = {"float": lambda: (NETS[net](tf_keras), ()), "qat": lambda: (quantized(), ())}
    print(json.dumps(time_steps(tf_keras, kinds)))


if __name__ == "__main__":
    {"float": _float, "qat": _qat, "steps": _steps}[sys.argv[1]](*sys.argv[2:])
