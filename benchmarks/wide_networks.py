"""Networks of int16 activations and int8 weights (16x8), and single operators of them: nobody but
the runtime's own kernels runs these.
"""

import contextlib
import warnings
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any

from networks import NETWORKS as INT8
from networks import Network, settle


def _operator(shape: tuple[int, ...], make: Callable[[Any], Any], inputs: int = 1) -> Any:
    """A net of one layer, `make(keras.layers)`."""
    import keras

    layer = make(keras.layers)
    given = [keras.Input(shape, batch_size=1) for _ in range(inputs)]
    return keras.Model(given, layer(given if inputs > 1 else given[0]))


def _single(
    name: str, shape: tuple[int, ...], make: Callable[[Any], Any], inputs: int = 1
) -> Network:
    return Network(f"{name}_16x8", shape, lambda: _operator(shape, make, inputs), standard=False)


# The int8 nets that have a 16x8 form here.
BASES = {
    f"{name}_16x8": INT8[name]
    for name in ("mobilenet_v2_224", "mobilenet_v1_0.25_96", "resnet_8_32", "ds_cnn")
}

NETWORKS = {
    network.name: network
    for network in (
        *(replace(base, name=name, standard=False) for name, base in BASES.items()),
        _single(
            "conv_2d_28x28x128_128_3x3", (28, 28, 128), lambda k: k.Conv2D(128, 3, padding="same")
        ),
        _single("conv_2d_28x28x192_64_1x1", (28, 28, 192), lambda k: k.Conv2D(64, 1)),
        _single("conv_2d_224x224x3_32_3x3", (224, 224, 3), lambda k: k.Conv2D(32, 3, 2, "same")),
        _single("fully_connected_1024_1000", (1024,), lambda k: k.Dense(1000)),
        _single(
            "depthwise_conv_2d_56x56x144_3x3",
            (56, 56, 144),
            lambda k: k.DepthwiseConv2D(3, padding="same"),
        ),
        _single(
            "depthwise_conv_2d_14x14x96_5x5",
            (14, 14, 96),
            lambda k: k.DepthwiseConv2D(5, padding="same"),
        ),
        _single("add_56x56x64", (56, 56, 64), lambda k: k.Add(), 2),
        _single("mul_56x56x64", (56, 56, 64), lambda k: k.Multiply(), 2),
        _single(
            "average_pool_2d_56x56x64_3x3", (56, 56, 64), lambda k: k.AveragePooling2D(3, 2, "same")
        ),
        _single("max_pool_2d_56x56x64_3x3", (56, 56, 64), lambda k: k.MaxPooling2D(3, 2, "same")),
        _single("softmax_16x1001", (16, 1001), lambda k: k.Softmax()),
        _single("logistic_56x56x64", (56, 56, 64), lambda k: k.Activation("sigmoid")),
        _single("tanh_56x56x64", (56, 56, 64), lambda k: k.Activation("tanh")),
    )
}


def build(network: Network) -> bytes:
    """The 16x8 .tflite of `network` by TensorFlow's own converter, calibrated on normal noise of a
    fixed seed; the same seed gives the same weights.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    model = network.build()
    if network.name in BASES:
        settle(model, network.shape)
    generator = np.random.default_rng(0)
    inputs = len(model.inputs)
    data = [
        [generator.normal(size=(1, *network.shape)).astype(np.float32) for _ in range(inputs)]
        for _ in range(4)
    ]
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: iter(data)
    wide = "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"
    converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, wide)]
    converter.inference_input_type = converter.inference_output_type = tf.int16
    with contextlib.redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return converter.convert()
