"""Layers whose inference is a factor and an offset for each channel."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from int8x.keras import private
from int8x.keras.tensors import Tensor


def affine(layer: Any) -> tuple[Tensor, Tensor]:
    """(factor, offset), float32: the layer's inference is x * factor + offset per channel.

    For BatchNormalization, Normalization and Rescaling.
    """
    if isinstance(layer, keras.layers.Rescaling):
        return ops.convert_to_tensor(layer.scale, "float32"), ops.convert_to_tensor(
            layer.offset, "float32"
        )
    if isinstance(layer, keras.layers.Normalization):
        mean = ops.reshape(ops.cast(layer.mean, "float32"), [-1])
        deviation = ops.maximum(
            ops.sqrt(ops.reshape(ops.cast(layer.variance, "float32"), [-1])),
            keras.backend.epsilon(),
        )
        return (deviation, mean) if layer.invert else (1.0 / deviation, -mean / deviation)
    mean, variance = (
        private.master_value(layer.moving_mean),
        private.master_value(layer.moving_variance),
    )
    factor = ops.rsqrt(variance + layer.epsilon)
    if layer.scale:
        factor = factor * private.master_value(layer.gamma)
    offset = -mean * factor
    if layer.center:
        offset = offset + private.master_value(layer.beta)
    return factor, offset


def by_channel(factor: Any, weight: Any, axes: tuple[int, ...]) -> Any:
    """A factor for each channel, shaped to multiply a kernel whose `axes` count channels."""
    shape = [size if axis in axes else 1 for axis, size in enumerate(weight.shape)]
    return ops.reshape(factor, shape)
