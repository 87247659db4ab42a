"""The nets of the training benchmark, for 28x28 grey pixels, logits out.

Each function takes the Keras to build with, Keras 3 or tf_keras: the weights of one, as
`get_weights` lists them, fit the other.
"""

from collections.abc import Callable
from typing import Any

CLASSES = 10


def _unit(keras: Any, x: Any, filters: int, kernel: int = 3, strides: int = 1) -> Any:
    layers = keras.layers
    x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def _depthwise(keras: Any, x: Any, strides: int = 1) -> Any:
    layers = keras.layers
    x = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def _classified(keras: Any, inputs: Any, x: Any) -> Any:
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(x))


def mlp(keras: Any) -> Any:
    """Two hidden layers of 256 and 128 units."""
    layers = keras.layers
    inputs = keras.Input((28, 28, 1))
    x = layers.Flatten()(inputs)
    for units in (256, 128):
        x = layers.Dense(units, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def ds_cnn(keras: Any) -> Any:
    """A strided convolution and four depthwise separable blocks of 64 (Zhang et al. 2017,
    arXiv:1711.07128), the second strided.
    """
    layers = keras.layers
    inputs = keras.Input((28, 28, 1))
    x = layers.ReLU()(_unit(keras, inputs, 64, 3, 2))
    for strides in (1, 2, 1, 1):
        x = layers.ReLU()(_depthwise(keras, x, strides))
        x = layers.ReLU()(_unit(keras, x, 64, 1))
    return _classified(keras, inputs, x)


def resnet_8(keras: Any) -> Any:
    """Three residual blocks of 16, 32 and 64 filters, as in MLPerf Tiny."""
    layers = keras.layers
    inputs = keras.Input((28, 28, 1))
    x = layers.ReLU()(_unit(keras, inputs, 16))
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        y = layers.ReLU()(_unit(keras, x, filters, 3, strides))
        y = _unit(keras, y, filters)
        if strides > 1:
            x = _unit(keras, x, filters, 1, strides)
        x = layers.ReLU()(layers.Add()([x, y]))
    return _classified(keras, inputs, x)


def mobilenet_v2(keras: Any) -> Any:
    """Inverted residuals of expansion 6 with ReLU6 at half width (Sandler et al. 2018,
    arXiv:1801.04381), without the strides that 28x28 pixels have no room for.
    """
    layers = keras.layers
    inputs = keras.Input((28, 28, 1))
    x = layers.ReLU(6.0)(_unit(keras, inputs, 16, 3, 2))
    stages = ((8, 1, 1), (16, 1, 6), (16, 1, 6), (24, 2, 6), (24, 1, 6), (32, 1, 6), (48, 2, 6))
    for filters, strides, expansion in stages:
        y = x
        if expansion > 1:
            y = layers.ReLU(6.0)(_unit(keras, y, expansion * x.shape[-1], 1))
        y = layers.ReLU(6.0)(_depthwise(keras, y, strides))
        y = _unit(keras, y, filters, 1)
        x = layers.Add()([x, y]) if x.shape[1:] == y.shape[1:] else y
    return _classified(keras, inputs, layers.ReLU(6.0)(_unit(keras, x, 128, 1)))


def uneven(keras: Any) -> Any:
    """Five convolutions; their channels get unlike scales after the float training."""
    layers = keras.layers
    inputs = x = keras.Input((28, 28, 1))
    for filters in (16, 32):
        for strides in (1, 2):
            x = layers.ReLU()(_unit(keras, x, filters, 3, strides))
    return _classified(keras, inputs, layers.ReLU()(_unit(keras, x, 64)))


NETS: dict[str, Callable[[Any], Any]] = {
    "mlp": mlp,
    "ds_cnn": ds_cnn,
    "uneven": uneven,
    "resnet_8": resnet_8,
    "mobilenet_v2": mobilenet_v2,
}
