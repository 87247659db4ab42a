"""UpSampling2D as TensorFlow's resize operators, for which TFLite has one each."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def upsampled(layer: keras.layers.UpSampling2D, x: Any) -> Any:
    """What the layer makes of x [batch, height, width, channels], whose height and width need not
    be known: Keras interpolates only where they are.
    """
    known = None not in x.shape[1:3]
    pixels = np.asarray(x.shape[1:3]) if known else tf.shape(x)[1:3]
    return tf.image.resize(x, pixels * np.int32(layer.size), method=layer.interpolation)


def needs_sizes(operation: Any, args: tuple[Any, ...]) -> bool:
    """Whether Keras's own call fails because height or width are not known."""
    if not isinstance(operation, keras.layers.UpSampling2D):
        return False
    return operation.interpolation != "nearest" and None in args[0].shape[1:3]
