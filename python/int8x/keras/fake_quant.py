"""Fake quantization: float tensors rounded to the grid that the int8 file will hold.

An activation is asymmetric int8, real = (q - zero_point) * scale with q in [-128, 127] and zero on
the grid, or symmetric int16; a weight is symmetric int8 with q in [-127, 127], or INT4 in [-7, 7],
with one scale per output channel or one in all.

Scales carry 16 significant bits. A grid point q * scale with |q| <= 255 then fits the 24 bits of a
float32 without rounding, and so do the ends of the range: (high - low) / 255 gives back the very
same scale wherever it is recomputed (in TensorFlow's FakeQuant, in its converter, in the
quantizer). The price is a scale off by at most one part in 65,536, less than a hundredth of a step
at the end of the range.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from int8x.keras import tensors
from int8x.keras.tensors import Tensor

LEVELS = 255
LOWEST, HIGHEST = -128, 127
LARGEST_WEIGHT = {8: 127, 4: 7}  # by bits
_LARGEST_INT16 = 32767
FLOAT_MARK = 2.0**80  # the scale of a marker that says: what makes this tensor stays float
MARKER_STEPS = 256  # an 8-bit marker of 256 times the scale stands for an int16 grid


def short_scale(scale: Tensor) -> Tensor:
    """Rounds float32 scales to 16 significant bits, halves up; zero and not-a-number become 1.

    >>> float(short_scale(ops.convert_to_tensor(0.1)))
    0.100000381...
    """
    bits = tensors.bits_of(scale)
    short = tensors.float_of((bits + 0x80) & ~0xFF)
    return ops.where(short > 0.0, short, 1.0)


def activation_params(low: Tensor, high: Tensor, bits: int = 8) -> tuple[Tensor, Tensor]:
    """Scale and zero point (an integer as float32) of the grid over [low, high] and zero.

    8 bits: scale = (high - low) / 255 after widening to zero; zero_point = round(-128 - low /
    scale). 16 bits: scale = max(-low, high) / 32767; zero_point = 0.

    >>> [float(x) for x in activation_params(*ops.convert_to_tensor([0.0, 255.0]))]
    [1.0, -128.0]
    """
    return reach_params(ops.maximum(-low, 0.0), ops.maximum(high, 0.0), bits)


def reach_params(below: Tensor, above: Tensor, bits: int = 8) -> tuple[Tensor, Tensor]:
    """The same of [-below, above], both at least zero."""
    if bits == 16:
        scale = short_scale(ops.maximum(below, above) / _LARGEST_INT16)
        return scale, ops.zeros_like(scale)
    scale = short_scale((above + below) / LEVELS)
    zero_point = ops.clip(ops.round(LOWEST + below / scale), LOWEST, HIGHEST)
    return scale, zero_point


def ends(scale: Tensor, zero_point: Tensor, bits: int = 8) -> tuple[Tensor, Tensor]:
    """The least and greatest real of a grid."""
    if bits == 16:
        return -_LARGEST_INT16 * scale, _LARGEST_INT16 * scale
    return (LOWEST - zero_point) * scale, (HIGHEST - zero_point) * scale


def fake_quant(x: Tensor, scale: Tensor, zero_point: Tensor, bits: int = 8) -> Tensor:
    """x rounded and clamped to (q - zero_point) * scale, in x's float type; q in [-128, 127], of 16
    bits in [-32767, 32767] with zero_point 0.

    The gradient passes inside the range and is zero outside. TensorFlow's own operator does the
    work of 8 bits, because the TFLite converter turns exactly that one into a QUANTIZE/DEQUANTIZE
    pair, and both ends of the range are exact.
    """
    low, high = ends(scale, zero_point, bits)
    wide = ops.cast(x, "float32")
    if bits == 16:
        return ops.cast(_fake_quant_16(wide, scale, high), x.dtype)
    y = tensors.fake_quant_8(wide, low, high)
    return ops.cast(y, x.dtype)


@ops.custom_gradient
def _fake_quant_16(x: Tensor, scale: Tensor, high: Tensor):  # type: ignore[no-untyped-def]
    inside = ops.abs(x) <= high

    def gradient(upstream: Tensor) -> tuple[Any, ...]:
        passed = ops.where(inside, upstream, ops.zeros_like(upstream))
        return passed, tensors.no_gradient(scale), tensors.no_gradient(high)

    steps = ops.minimum(ops.floor(ops.abs(x) / scale + 0.5), float(_LARGEST_INT16))
    return ops.sign(x) * steps * scale, gradient


@ops.custom_gradient
def fake_quant_average(x: Tensor, scale: Tensor, zero_point: Tensor):  # type: ignore[no-untyped-def]
    """Averages of grid points as AVERAGE_POOL_2D and RESIZE_BILINEAR round them: q half away from
    the integer zero.

    Halves are common among averages of four, so which way they go matters. The gradient passes
    through.
    """

    def gradient(upstream: Tensor) -> tuple[Any, ...]:
        return upstream, tensors.no_gradient(scale), tensors.no_gradient(zero_point)

    q = ops.cast(x, "float32") / scale + zero_point
    q = ops.sign(q) * ops.floor(ops.abs(q) + 0.5)
    return ops.cast((q - zero_point) * scale, x.dtype), gradient


def marker(x: Tensor, scale: float, zero_point: int, bits: int = 8) -> Tensor:
    """`fake_quant` with constants: the float conversion makes it a QUANTIZE/DEQUANTIZE pair.

    The converter knows such pairs for 8 bits only. One of 256 times the scale, zero point 0, stands
    for 16 bits; int8x.keras.handover translates it.
    """
    import tensorflow as tf  # exports run on TensorFlow

    if bits == 16:
        scale, zero_point = MARKER_STEPS * scale, 0
    low = (LOWEST - zero_point) * scale
    high = (HIGHEST - zero_point) * scale
    return tf.quantization.fake_quant_with_min_max_args(x, low, high, num_bits=8)


def weight_scale(weight: Tensor, channel_axes: tuple[int, ...], bits: int = 8) -> Tensor:
    """One scale per channel, max|w| / 127 (of 4 bits / 7), shaped to broadcast against the weight.

    `channel_axes` are the axes that together count output channels: (3,) for a convolution, (2, 3)
    for a depthwise one, () for one scale in all.
    """
    axes = [axis for axis in range(len(weight.shape)) if axis not in channel_axes]
    largest = ops.max(ops.abs(weight), axis=axes, keepdims=True)
    return short_scale(largest / LARGEST_WEIGHT[bits])


def weight_steps(weight: Tensor, scale: Tensor, bits: int = 8) -> Tensor:
    """The integers q of a weight, in [-127, 127], of 4 bits [-7, 7], as float32."""
    largest = LARGEST_WEIGHT[bits]
    return ops.clip(ops.round(weight / scale), -largest, largest)


@ops.custom_gradient
def _straight(weight: Tensor, rounded: Tensor):  # type: ignore[no-untyped-def]
    def gradient(upstream: Tensor) -> tuple[Any, ...]:
        return upstream, tensors.no_gradient(rounded)

    return rounded, gradient


def fake_quant_weight(weight: Tensor, channel_axes: tuple[int, ...], bits: int = 8) -> Tensor:
    """The weight on its grid; the gradient passes straight through (arXiv:1308.3432).

    >>> float(fake_quant_weight(ops.convert_to_tensor([[127.0], [0.6]]), (1,))[1, 0])
    1.0
    """
    scale = weight_scale(weight, channel_axes, bits)
    return _straight(weight, ops.stop_gradient(weight_steps(weight, scale, bits) * scale))
