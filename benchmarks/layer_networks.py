"""Single layers of the usual networks, as int8 models: where a kernel stands beside its peers'."""

from collections.abc import Callable
from typing import Any

from networks import Network, build

__all__ = ["NETWORKS", "build"]

# Name: rows and columns of the input, its channels, output channels, kernel, stride.
CONVOLUTIONS = {
    "conv_2d_56x56x64_64_3x3": (56, 64, 64, 3, 1),
    "conv_2d_28x28x128_128_3x3": (28, 128, 128, 3, 1),
    "conv_2d_14x14x256_256_3x3": (14, 256, 256, 3, 1),
    "conv_2d_7x7x512_512_3x3": (7, 512, 512, 3, 1),
    "conv_2d_224x224x3_32_3x3_s2": (224, 3, 32, 3, 2),
    "conv_2d_28x28x256_256_1x1": (28, 256, 256, 1, 1),
    "conv_2d_7x7x1024_1024_1x1": (7, 1024, 1024, 1, 1),
    "conv_2d_56x56x64_128_1x1": (56, 64, 128, 1, 1),
    "conv_2d_56x56x144_24_1x1": (56, 144, 24, 1, 1),
    "conv_2d_56x56x24_144_1x1": (56, 24, 144, 1, 1),
    "conv_2d_112x112x16_96_1x1": (112, 16, 96, 1, 1),
}
# Name: rows and columns of the input, its channels, kernel, stride.
DEPTHWISE = {
    "depthwise_3x3_112x112x64_s2": (112, 64, 3, 2),
    "depthwise_3x3_56x56x144": (56, 144, 3, 1),
    "depthwise_3x3_28x28x192": (28, 192, 3, 1),
    "depthwise_3x3_7x7x960": (7, 960, 3, 1),
    "depthwise_5x5_14x14x480": (14, 480, 5, 1),
    "depthwise_5x5_28x28x240_s2": (28, 240, 5, 2),
}


def _layer(name: str, size: int, channels: int, make: Callable[[Any], Any]) -> Network:
    shape = (size, size, channels)

    def model() -> Any:
        import keras

        inputs = keras.Input(shape, batch_size=1)
        return keras.Model(inputs, make(keras.layers)(inputs))

    return Network(name, shape, model, standard=False)


def _convolution(name: str) -> Network:
    size, channels, filters, kernel, stride = CONVOLUTIONS[name]
    return _layer(
        name,
        size,
        channels,
        lambda k: k.Conv2D(filters, kernel, stride, "same", activation="relu"),
    )


def _depthwise(name: str) -> Network:
    size, channels, kernel, stride = DEPTHWISE[name]
    return _layer(
        name,
        size,
        channels,
        lambda k: k.DepthwiseConv2D(kernel, stride, "same", activation="relu"),
    )


NETWORKS = {
    **{name: _convolution(name) for name in CONVOLUTIONS},
    **{name: _depthwise(name) for name in DEPTHWISE},
}
