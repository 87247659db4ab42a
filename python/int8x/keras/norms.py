"""Layers whose inference is a factor and an offset for each channel."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from int8x.keras import private


def affine(layer: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """(factor, offset), float32: the layer's inference is x * factor + offset per channel.

    For BatchNormalization, Normalization and Rescaling.
    """
    if isinstance(layer, keras.layers.Rescaling):
        return tf.constant(layer.scale, tf.float32), tf.constant(layer.offset, tf.float32)
    if isinstance(layer, keras.layers.Normalization):
        mean = tf.reshape(tf.cast(layer.mean, tf.float32), [-1])
        deviation = tf.maximum(
            tf.sqrt(tf.reshape(tf.cast(layer.variance, tf.float32), [-1])), keras.backend.epsilon()
        )
        return (deviation, mean) if layer.invert else (1.0 / deviation, -mean / deviation)
    mean, variance = (
        private.master_value(layer.moving_mean),
        private.master_value(layer.moving_variance),
    )
    factor = tf.math.rsqrt(variance + layer.epsilon)
    if layer.scale:
        factor = factor * private.master_value(layer.gamma)
    offset = -mean * factor
    if layer.center:
        offset = offset + private.master_value(layer.beta)
    return factor, offset


def by_channel(factor: Any, weight: Any, axes: tuple[int, ...]) -> Any:
    """A factor for each channel, shaped to multiply a kernel whose `axes` count channels."""
    shape = [size if axis in axes else 1 for axis, size in enumerate(weight.shape)]
    return tf.reshape(factor, shape)
