"""Small Keras models and data for the tests of int8x.keras."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow  # noqa: F401
from keras import layers as L

gc.freeze()  # each conversion collects garbage: what imports have made need not be looked at again

SEED = 7


def digits(count=256, test=256):
    """scikit-learn's digits as (x, y, x_test, y_test), 8x8x1 float32 in [0, 16]."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(SEED).permutation(len(data.target))
    x, y = data.images[order][..., None].astype("float32"), data.target[order]
    return x[:count], y[:count], x[count : count + test], y[count : count + test]


def functional(build, shape=(8, 8, 1)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, build(inputs))


def head(x):
    return L.Dense(10)(L.Flatten()(x))


def residual(width=8, probabilities=True):
    """Conv, depthwise, BatchNormalization, a residual Add, global average pooling, Dense."""

    def build(x):
        x = L.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = skip = L.ReLU()(L.BatchNormalization()(x))
        x = L.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = L.ReLU(max_value=6)(L.BatchNormalization()(x))
        x = L.BatchNormalization()(L.Conv2D(width, 1)(x))
        x = L.ReLU()(L.Add()([skip, x]))
        x = L.MaxPooling2D()(x)
        x = L.Conv2D(2 * width, 3, activation="relu")(x)
        x = L.Dropout(0.1)(L.GlobalAveragePooling2D()(x))
        return L.Dense(10, activation="softmax" if probabilities else None)(x)

    return functional(build)


def small():
    """Two layers and a BatchNormalization: the quickest net to fit."""
    return functional(lambda x: head(L.ReLU()(L.BatchNormalization()(L.Conv2D(4, 3)(x)))))


def sequential():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.Conv2D(4, 3, activation="relu"),
            L.AveragePooling2D(2),
            L.Flatten(),
            L.Dense(10),
        ]
    )


def unbuilt_sequential():
    return keras.Sequential(
        [
            L.Conv2D(4, 3),
            L.BatchNormalization(),
            L.ReLU(),
            L.MaxPooling2D(),
            L.Flatten(),
            L.Dense(10),
        ]
    )


def nested():
    """A backbone called with training=False inside a model."""
    backbone = functional(lambda x: L.ReLU()(L.BatchNormalization()(L.Conv2D(4, 3)(x))))
    return functional(lambda x: head(backbone(x, training=False)))


def shared():
    """One convolution called twice, one Dense called twice."""

    def build(x):
        conv, dense = L.Conv2D(4, 3, padding="same", activation="relu"), L.Dense(10)
        x = L.Conv2D(4, 1)(x)
        return L.Add()([dense(L.Flatten()(conv(conv(x)))), dense(L.Flatten()(x))])

    return functional(build)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.relu = L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU()
        self.flatten, self.dense = L.Flatten(), L.Dense(10)

    def call(self, x, training=None):
        return self.dense(self.flatten(self.relu(self.norm(self.conv(x), training=training))))


class WithoutTrainingArgument(Subclassed):
    def call(self, x):
        return self.dense(self.flatten(self.relu(self.norm(self.conv(x)))))


class RawOperators(Subclassed):
    """tf operators between the layers."""

    def call(self, x, training=None):
        import tensorflow as tf

        x = tf.nn.relu(self.norm(self.conv(x), training=training))
        return tf.nn.relu(self.dense(tf.reshape(x, (-1, 6 * 6 * 4))))


KINDS = {
    "sequential": sequential,
    "unbuilt sequential": unbuilt_sequential,
    "functional": small,
    "nested": nested,
    "shared": shared,
    "subclassed": Subclassed,
    "without training argument": WithoutTrainingArgument,
    "raw operators": RawOperators,
}


def compiled(model, jit=False, learning_rate=2e-3, **options):
    """Compiled for integer labels; the loss fits the model's end, probabilities or logits.

    Most of a small fit's time goes to tracing, anew whenever ranges or statistics freeze: claims
    that do not rest on the graph are tested with run_eagerly=True.
    """
    probabilities = any(
        getattr(getattr(layer, "activation", None), "__name__", "") == "softmax"
        for layer in model.layers
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not probabilities)
    model.compile(
        keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"], jit_compile=jit, **options
    )
    return model


def seed():
    print(f"seed {SEED}")
    keras.utils.set_random_seed(SEED)
