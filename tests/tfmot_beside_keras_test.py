"""TFMOT and Keras 3 in one process: in any order of import both work, and schedules are shared."""

import os
import subprocess
import sys

import pytest

_KERAS3 = """
import keras, numpy as np, int8x
x = np.random.default_rng(0).random((32, 8, 8, 1), np.float32)
y = np.zeros(32, np.int64)
model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, activation="relu"),
                          keras.layers.Flatten(), keras.layers.Dense(2)])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(x, y, verbose=0, epochs=2, callbacks=[int8x.QATCallback()])
int8x.export(model, OUTPUT)
"""
_TFMOT = """
import tensorflow_model_optimization as tfmot
import tf_keras, numpy as np, int8x
x = np.random.default_rng(0).random((32, 8), np.float32)
model = tf_keras.Sequential([tf_keras.Input((8,)), tf_keras.layers.Dense(2)])
model = tfmot.quantization.keras.quantize_model(model)
model.compile("adam", "mse")
model.fit(x, x[:, :2], verbose=0)
int8x.export(model, OUTPUT)
"""


@pytest.mark.parametrize("programs", [(_KERAS3, _TFMOT), (_TFMOT, _KERAS3)], ids=["3 2", "2 3"])
def test_each_trains_and_exports_after_the_other(programs, tmp_path):
    code = "\n".join(programs).replace("OUTPUT", repr(str(tmp_path / "model.tflite")))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    environment.pop("TF_USE_LEGACY_KERAS", None)
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-2000:]


def test_int8x_imports_neither_tfmot_nor_tf_keras():
    code = (
        "import sys, int8x, int8x.keras, int8x.keras2.conversion as c; int8x.QATCallback;"
        "assert not {'tf_keras', 'tensorflow_model_optimization'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    environment.pop("TF_USE_LEGACY_KERAS", None)
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-2000:]


def test_tfmots_schedules_drive_the_pruning_of_a_keras_3_model():
    import int8x
    import keras
    import numpy as np
    import tensorflow_model_optimization as tfmot

    schedule = tfmot.sparsity.keras.PolynomialDecay(0.0, 0.75, 0, 6, frequency=2)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(32)])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).random((64, 64), np.float32)
    pruning = int8x.PruningCallback(schedule=schedule)
    model.fit(x, x[:, :32], batch_size=8, epochs=2, verbose=0, callbacks=[pruning])
    assert np.mean(model.layers[0].kernel.numpy() == 0) == 0.75
