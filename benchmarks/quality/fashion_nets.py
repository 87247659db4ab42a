"""Nets for 28x28 pixels: a plain CNN, a MobileNetV2, a small vision transformer; logits out."""

from typing import Any


def _unit(x: Any, filters: int, kernel: int = 3, strides: int = 1, activation: str = "relu") -> Any:
    from keras import layers

    x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x) if activation else x


def cnn() -> Any:
    """Four convolutions with BatchNormalization and ReLU, two max-pools, a dense layer."""
    import keras
    from keras import layers

    inputs = x = keras.Input((28, 28, 1))
    for filters in (16, 32):
        x = _unit(_unit(x, filters), filters)
        x = layers.MaxPooling2D()(x)
    x = layers.GlobalAveragePooling2D()(_unit(x, 64))
    return keras.Model(inputs, layers.Dense(10)(x))


def mobilenet_v2() -> Any:
    """Inverted residuals of expansion 4 with ReLU6, as in MobileNetV2, for 28x28 pixels."""
    import keras
    from keras import layers

    inputs = keras.Input((28, 28, 1))
    x = _unit(inputs, 16, strides=2, activation="relu6")
    for filters, strides in ((16, 1), (24, 2), (24, 1), (32, 1), (48, 2), (48, 1)):
        y = _unit(x, 4 * x.shape[-1], 1, activation="relu6")
        y = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(y)
        y = layers.Activation("relu6")(layers.BatchNormalization()(y))
        y = _unit(y, filters, 1, activation="")
        x = layers.Add()([x, y]) if x.shape == y.shape else y
    x = layers.GlobalAveragePooling2D()(_unit(x, 128, 1, activation="relu6"))
    return keras.Model(inputs, layers.Dense(10)(x))


def transformer() -> Any:
    """Patches of 4x4 as 49 tokens of 64; three blocks of LayerNormalization, attention and GELU."""
    import keras
    from keras import layers

    inputs = keras.Input((28, 28, 1))
    x = layers.Reshape((49, 64))(layers.Conv2D(64, 4, strides=4)(inputs))
    x = _Positions()(x)
    for _ in range(3):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, 16)(y, y)])
        y = layers.LayerNormalization()(x)
        y = layers.Dense(64)(layers.Dense(128, activation="gelu")(y))
        x = layers.Add()([x, y])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(10)(x))


def _Positions() -> Any:
    import keras

    class Positions(keras.layers.Layer):
        """Adds a learned vector to each token."""

        def build(self, shape: Any) -> None:
            self.table = self.add_weight(shape=shape[1:], initializer="random_normal")

        def call(self, x: Any) -> Any:
            return x + self.table

    return Positions()
