"""Pretrained models of Keras 2: tf_keras objects, its .keras, .h5 and SavedModel files."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import tf_keras
from int8x.keras import transfer
from int8x.keras.pretrained import load_pretrained

CLOSE = 1e-5  # absolute: float32 sums of 36 products of size 1, in another order
X = np.random.default_rng(3).random((32, 8, 8, 2), np.float32)


def base():
    tf_keras.utils.set_random_seed(3)
    inputs = tf_keras.Input((8, 8, 2))
    x = tf_keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    x = skip = tf_keras.layers.ReLU(6.0)(tf_keras.layers.BatchNormalization()(x))
    x = tf_keras.layers.DepthwiseConv2D(3, padding="same")(x)
    return tf_keras.Model(inputs, tf_keras.layers.Add()([skip, x]), name="base")


@pytest.mark.parametrize("kind", ["object", ".keras", ".h5", "folder"])
def test_a_keras_2_model_gives_the_same_features_in_keras_3(kind, tmp_path):
    old = base()
    given = old
    if kind != "object":
        given = tmp_path / f"base{'' if kind == 'folder' else kind}"
        old.save(given, **({"save_format": "tf"} if kind == "folder" else {}))
    new = load_pretrained(given)
    assert isinstance(new, keras.Model)
    assert len(new.trainable_variables) == len(old.trainable_variables)
    assert np.allclose(new(X), old(X), atol=CLOSE)


def test_a_keras_2_model_is_transferred_to_an_int8_file(tmp_path):
    labels = np.arange(32) % 3
    result = transfer(base(), 3, (X, labels), tmp_path / "m.tflite", head_epochs=1, epochs=2)
    assert result.history["tuning"]["unfrozen_layers"] == [0, 2]  # one step an epoch
    for op in result.graph.main.operators:
        assert not any(t is not None and t.is_float for t in [*op.inputs, *op.outputs])
