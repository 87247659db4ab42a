"""The networks that are timed, built in Keras with fixed seeds: the MLPerf Tiny nets, the usual
large ones, single layers.
"""

import contextlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any

from architectures import efficientnet_lite0, fc_autoencoder, unet, vision_transformer


@dataclass(frozen=True)
class Network:
    """`build()` gives an untrained Keras model for inputs of `shape`, mostly (height, width,
    channels), batch 1. `pruned` is the share of 1x4 blocks that is set to zero in every convolution
    and matrix product whose input channels divide by 4.
    """

    name: str
    shape: tuple[int, ...]
    build: Callable[[], Any]
    standard: bool = True
    pruned: float = 0.0


def _layers() -> Any:
    import keras

    return keras.layers


def _convolution(
    x: Any, filters: int, kernel: Any, strides: Any = 1, activation: str | None = "relu"
) -> Any:
    layers = _layers()
    x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x) if activation else x


def _separable(x: Any, filters: int, strides: int = 1) -> Any:
    layers = _layers()
    x = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    return _convolution(x, filters, 1)


def _start(shape: tuple[int, int, int]) -> Any:
    import keras

    return keras.Input(shape, batch_size=1)


def _finish(inputs: Any, x: Any, classes: int) -> Any:
    import keras

    x = _layers().GlobalAveragePooling2D()(x)
    return keras.Model(inputs, _layers().Dense(classes, activation="softmax")(x))


def mobilenet_v1_quarter(shape: tuple[int, int, int] = (96, 96, 3)) -> Any:
    """MobileNetV1, width 0.25: person detection of MLPerf Tiny."""
    inputs = _start(shape)
    x = _convolution(inputs, 8, 3, 2)
    for filters, strides in (
        (16, 1),
        (32, 2),
        (32, 1),
        (64, 2),
        (64, 1),
        (128, 2),
        *[(128, 1)] * 5,
        (256, 2),
        (256, 1),
    ):
        x = _separable(x, filters, strides)
    return _finish(inputs, x, 2)


def resnet_8(shape: tuple[int, int, int] = (32, 32, 3)) -> Any:
    """Three residual blocks: image classification of MLPerf Tiny."""
    layers = _layers()
    inputs = _start(shape)
    x = _convolution(inputs, 16, 3)
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        shortcut = (
            x if strides == 1 else layers.Conv2D(filters, 1, strides=strides, padding="same")(x)
        )
        x = _convolution(x, filters, 3, strides)
        x = _convolution(x, filters, 3, activation=None)
        x = layers.Activation("relu")(layers.Add()([x, shortcut]))
    return _finish(inputs, x, 10)


def ds_cnn(shape: tuple[int, int, int] = (49, 10, 1)) -> Any:
    """Depthwise separable keyword spotting of MLPerf Tiny, on 49 frames of 10 features."""
    inputs = _start(shape)
    x = _convolution(inputs, 64, (10, 4), 2)
    for _ in range(4):
        x = _separable(x, 64)
    return _finish(inputs, x, 12)


def application(name: str, shape: tuple[int, int, int], classes: int) -> Any:
    """A net of keras.applications without its published weights."""
    import keras

    build = getattr(keras.applications, name)
    return build(weights=None, input_tensor=_start(shape), input_shape=shape, classes=classes)


def pointwise_layer(shape: tuple[int, int, int], filters: int) -> Any:
    import keras

    inputs = _start(shape)
    return keras.Model(inputs, _layers().Conv2D(filters, 1, activation="relu")(inputs))


def depthwise_layer(shape: tuple[int, int, int]) -> Any:
    import keras

    inputs = _start(shape)
    return keras.Model(
        inputs, _layers().DepthwiseConv2D(3, padding="same", activation="relu")(inputs)
    )


def _layer(name: str, shape: tuple[int, int, int], filters: int | None = None) -> Network:
    if filters is None:
        return Network(name, shape, lambda: depthwise_layer(shape))
    return Network(name, shape, lambda: pointwise_layer(shape, filters))


def application_network(
    name: str, keras_name: str, size: int, classes: int = 1000, standard: bool = False
) -> Network:
    shape = (size, size, 3)
    return Network(name, shape, lambda: application(keras_name, shape, classes), standard)


NETWORKS = {
    network.name: network
    for network in (
        Network("mobilenet_v1_0.25_96", (96, 96, 3), mobilenet_v1_quarter),
        Network("resnet_8_32", (32, 32, 3), resnet_8),
        Network("ds_cnn", (49, 10, 1), ds_cnn),
        application_network("mobilenet_v2_224", "MobileNetV2", 224, standard=True),
        application_network("mobilenet_v1_224", "MobileNet", 224),
        application_network("resnet_50_224", "ResNet50", 224),
        application_network("mobilenet_v3_small_224", "MobileNetV3Small", 224),
        application_network("efficientnet_b0_224", "EfficientNetB0", 224),
        Network("efficientnet_lite0_224", (224, 224, 3), efficientnet_lite0, standard=False),
        Network("fc_autoencoder", (640,), fc_autoencoder, standard=False),
        Network("vit_2_blocks_96", (96, 96, 3), vision_transformer, standard=False),
        Network("unet_128", (128, 128, 3), unet, standard=False),
        _layer("pointwise_14x14x512_512", (14, 14, 512), 512),
        _layer("depthwise_3x3_112x112x32", (112, 112, 32)),
        _layer("depthwise_3x3_14x14x512", (14, 14, 512)),
    )
}


# Those that the figures for pruned nets are about, and the others, each 75 % pruned.
NETWORKS |= {
    f"{name}_pruned": replace(network, name=f"{name}_pruned", standard=False, pruned=0.75)
    for name, network in NETWORKS.items()
    if not name.startswith(("pointwise", "depthwise"))
}


def prune(model: Any, share: float) -> None:
    """Sets the smallest 1x4 blocks of each kernel to zero, as `int8x.PruningCallback` does: four
    consecutive input channels of one output channel at one kernel position.
    """
    import keras
    import numpy as np

    for layer in model.layers:
        convolution = isinstance(layer, keras.layers.Conv2D)
        if isinstance(layer, keras.layers.DepthwiseConv2D) or not (
            convolution or isinstance(layer, keras.layers.Dense)
        ):
            continue
        variables = layer.get_weights()
        kernel = variables[0]
        if kernel.shape[-2] % 4:
            continue
        blocks = kernel.reshape(-1, 4, kernel.shape[-1])
        size = np.abs(blocks).sum(axis=1)
        dropped = np.argsort(size, axis=None, kind="stable")[: round(share * size.size)]
        keep = np.ones(size.size, bool)
        keep[dropped] = False
        variables[0] = (blocks * keep.reshape(size.shape)[:, None, :]).reshape(kernel.shape)
        layer.set_weights(variables)


def convert(model: Any, shape: tuple[int, ...], samples: int = 4, io: str = "int8") -> bytes:
    """Full int8 by TensorFlow's own converter, calibrated on uniform noise of a fixed seed; `io` is
    int8 or float32.
    """
    import numpy as np
    import tensorflow as tf

    generator = np.random.default_rng(0)
    data = [generator.random((1, *shape)).astype(np.float32) for _ in range(samples)]
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample] for sample in data)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.as_dtype(io)
    # The converter prints every variable of the net, and warns that int8 inputs have no given
    # statistics.
    with contextlib.redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return converter.convert()


def settle(model: Any, shape: tuple[int, ...]) -> None:
    """Gives every BatchNormalization the statistics of one batch of noise.

    With the initial ones the activations of a deep untrained net fade to nothing, and its logits
    with them.
    """
    import keras
    import numpy as np

    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(np.random.default_rng(1).random((1, *shape)).astype(np.float32), training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum


def build(network: Network, io: str = "int8") -> bytes:
    """The int8 .tflite of `network`; the same seed gives the same weights."""
    import keras

    keras.utils.set_random_seed(1)
    model = network.build()
    if network.pruned:
        prune(model, network.pruned)
    settle(model, network.shape)
    return convert(model, network.shape, io=io)
