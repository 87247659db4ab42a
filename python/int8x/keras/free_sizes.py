"""Calls of layers whose height, width or length is not known, as operators that TFLite has: Keras's
own cannot be traced then, or the converter cannot put their operators together.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

_L = keras.layers
_DILATED = (
    *(_L.Conv1D, _L.Conv2D, _L.DepthwiseConv1D, _L.DepthwiseConv2D),
    *(_L.SeparableConv1D, _L.SeparableConv2D),
)


def upsampled(layer: keras.layers.UpSampling2D, x: Any) -> Any:
    """What the layer makes of x [batch, height, width, channels]: one resize operator."""
    known = None not in x.shape[1:3]
    pixels = np.asarray(x.shape[1:3]) if known else tf.shape(x)[1:3]
    return tf.image.resize(x, pixels * np.int32(layer.size), method=layer.interpolation)


def needs_sizes(operation: Any, args: tuple[Any, ...]) -> bool:
    """Whether Keras's own call fails because height or width are not known."""
    if not isinstance(operation, keras.layers.UpSampling2D):
        return False
    return operation.interpolation != "nearest" and None in args[0].shape[1:3]


def is_split(layer: Any, x: Any) -> bool:
    """Whether TensorFlow splits a layer's convolution, which is dilated, for want of x's sizes."""
    dilated = isinstance(layer, _DILATED) and max(layer.dilation_rate) > 1
    return dilated and None in x.shape[1:-1]


def dilated(layer: Any, x: Any) -> Any:
    """What such a layer makes of x, one convolution with its bias added."""
    depthwise = isinstance(layer, (_L.DepthwiseConv1D, _L.DepthwiseConv2D))
    y = convolved(layer, x, tf.convert_to_tensor(layer.kernel), depthwise)
    return tf.nn.bias_add(y, tf.convert_to_tensor(layer.bias)) if layer.use_bias else y


def convolved(layer: Any, x: Any, kernel: Any, depthwise: bool) -> Any:
    """x convolved as the layer says, over one axis or two."""
    padding, rates, strides = layer.padding, layer.dilation_rate, layer.strides
    if padding == "causal":
        before = rates[0] * (kernel.shape[0] - 1)
        x, padding = tf.pad(x, [[0, 0], [before, 0], [0, 0]]), "valid"
    flat = len(x.shape) == 3
    if flat:
        x, kernel = tf.expand_dims(x, 1), tf.expand_dims(kernel, 0)
        rates, strides = (1, *rates), strides * 2
    how = {
        "strides": [1, *strides, 1],
        "padding": padding.upper(),
        "dilations": [1, *rates, 1],
    }
    make = tf.raw_ops.DepthwiseConv2dNative if depthwise else tf.raw_ops.Conv2D
    y = make(input=x, filter=kernel, **how)
    return tf.squeeze(y, [1]) if flat else y
