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

import tensorflow as tf

LEVELS = 255
LOWEST, HIGHEST = -128, 127
LARGEST_WEIGHT = {8: 127, 4: 7}  # by bits
_LARGEST_INT16 = 32767
FLOAT_MARK = 2.0**80  # the scale of a marker that says: what makes this tensor stays float
MARKER_STEPS = 256  # an 8-bit marker of 256 times the scale stands for an int16 grid


def short_scale(scale: tf.Tensor) -> tf.Tensor:
    """Rounds float32 scales to 16 significant bits, halves up; zero and not-a-number become 1.

    >>> float(short_scale(tf.constant(0.1)))
    0.100000381...
    """
    bits = tf.bitcast(scale, tf.int32)
    short = tf.bitcast((bits + 0x80) & ~0xFF, tf.float32)
    return tf.where(short > 0.0, short, tf.ones_like(short))


def activation_params(
    low: tf.Tensor, high: tf.Tensor, bits: int = 8
) -> tuple[tf.Tensor, tf.Tensor]:
    """Scale and zero point (an integer as float32) of the grid over [low, high] and zero.

    8 bits: scale = (high - low) / 255 after widening to zero; zero_point = round(-128 - low /
    scale). 16 bits: scale = max(-low, high) / 32767; zero_point = 0.

    >>> [float(x) for x in activation_params(tf.constant(0.0), tf.constant(255.0))]
    [1.0, -128.0]
    """
    low = tf.minimum(low, 0.0)
    high = tf.maximum(high, 0.0)
    if bits == 16:
        scale = short_scale(tf.maximum(-low, high) / _LARGEST_INT16)
        return scale, tf.zeros_like(scale)
    scale = short_scale((high - low) / LEVELS)
    zero_point = tf.clip_by_value(tf.round(LOWEST - low / scale), LOWEST, HIGHEST)
    return scale, zero_point


def ends(scale: tf.Tensor, zero_point: tf.Tensor, bits: int = 8) -> tuple[tf.Tensor, tf.Tensor]:
    """The least and greatest real of a grid."""
    if bits == 16:
        return -_LARGEST_INT16 * scale, _LARGEST_INT16 * scale
    return (LOWEST - zero_point) * scale, (HIGHEST - zero_point) * scale


def fake_quant(x: tf.Tensor, scale: tf.Tensor, zero_point: tf.Tensor, bits: int = 8) -> tf.Tensor:
    """x rounded and clamped to (q - zero_point) * scale, in x's float type; q in [-128, 127], of 16
    bits in [-32767, 32767] with zero_point 0.

    The gradient passes inside the range and is zero outside. TensorFlow's own operator does the
    work of 8 bits, because the TFLite converter turns exactly that one into a QUANTIZE/DEQUANTIZE
    pair, and both ends of the range are exact.
    """
    low, high = ends(scale, zero_point, bits)
    wide = tf.cast(x, tf.float32)
    if bits == 16:
        return tf.cast(_fake_quant_16(wide, scale, high), x.dtype)
    y = tf.quantization.fake_quant_with_min_max_vars(wide, low, high, num_bits=8)
    return tf.cast(y, x.dtype)


@tf.custom_gradient
def _fake_quant_16(x: tf.Tensor, scale: tf.Tensor, high: tf.Tensor):  # type: ignore[no-untyped-def]
    inside = tf.abs(x) <= high

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None]:
        return tf.where(inside, upstream, tf.zeros_like(upstream)), None, None

    steps = tf.minimum(tf.floor(tf.abs(x) / scale + 0.5), float(_LARGEST_INT16))
    return tf.sign(x) * steps * scale, gradient


@tf.custom_gradient
def fake_quant_average(x: tf.Tensor, scale: tf.Tensor, zero_point: tf.Tensor):  # type: ignore[no-untyped-def]
    """Averages of grid points as AVERAGE_POOL_2D rounds them: q half away from the integer zero.

    Halves are common among averages of four, so which way they go matters. The gradient passes
    through.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None]:
        return upstream, None, None

    q = tf.cast(x, tf.float32) / scale + zero_point
    q = tf.sign(q) * tf.floor(tf.abs(q) + 0.5)
    return tf.cast((q - zero_point) * scale, x.dtype), gradient


def marker(x: tf.Tensor, scale: float, zero_point: int, bits: int = 8) -> tf.Tensor:
    """`fake_quant` with constants: the float conversion makes it a QUANTIZE/DEQUANTIZE pair.

    The converter knows such pairs for 8 bits only. One of 256 times the scale, zero point 0, stands
    for 16 bits; int8x.keras.handover translates it.
    """
    if bits == 16:
        scale, zero_point = MARKER_STEPS * scale, 0
    low = (LOWEST - zero_point) * scale
    high = (HIGHEST - zero_point) * scale
    return tf.quantization.fake_quant_with_min_max_args(x, low, high, num_bits=8)


def weight_scale(weight: tf.Tensor, channel_axes: tuple[int, ...], bits: int = 8) -> tf.Tensor:
    """One scale per channel, max|w| / 127 (of 4 bits / 7), shaped to broadcast against the weight.

    `channel_axes` are the axes that together count output channels: (3,) for a convolution, (2, 3)
    for a depthwise one, () for one scale in all.
    """
    axes = [axis for axis in range(len(weight.shape)) if axis not in channel_axes]
    largest = tf.reduce_max(tf.abs(weight), axis=axes, keepdims=True)
    return short_scale(largest / LARGEST_WEIGHT[bits])


def weight_steps(weight: tf.Tensor, scale: tf.Tensor, bits: int = 8) -> tf.Tensor:
    """The integers q of a weight, in [-127, 127], of 4 bits [-7, 7], as float32."""
    largest = LARGEST_WEIGHT[bits]
    return tf.clip_by_value(tf.round(weight / scale), -largest, largest)


@tf.custom_gradient
def _straight(weight: tf.Tensor, rounded: tf.Tensor):  # type: ignore[no-untyped-def]
    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return upstream, None

    return tf.identity(rounded), gradient


def fake_quant_weight(weight: tf.Tensor, channel_axes: tuple[int, ...], bits: int = 8) -> tf.Tensor:
    """The weight on its grid; the gradient passes straight through (arXiv:1308.3432).

    >>> float(fake_quant_weight(tf.constant([[127.0], [0.6]]), (1,))[1, 0])
    1.0
    """
    scale = weight_scale(weight, channel_axes, bits)
    return _straight(weight, tf.stop_gradient(weight_steps(weight, scale, bits) * scale))
