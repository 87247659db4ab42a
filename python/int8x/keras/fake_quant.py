"""Fake quantization: float tensors rounded to the grid that the int8 file will hold.

An activation is asymmetric int8, real = (q - zero_point) * scale with q in [-128, 127] and zero on
the grid; a weight is symmetric int8 with q in [-127, 127] and one scale per output channel.

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
LARGEST_WEIGHT = 127


def short_scale(scale: tf.Tensor) -> tf.Tensor:
    """Rounds float32 scales to 16 significant bits, halves up; zero and not-a-number become 1.

    >>> float(short_scale(tf.constant(0.1)))
    0.100000381...
    """
    bits = tf.bitcast(scale, tf.int32)
    short = tf.bitcast((bits + 0x80) & ~0xFF, tf.float32)
    return tf.where(short > 0.0, short, tf.ones_like(short))


def activation_params(low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Scale and zero point (an integer as float32) of the int8 range over [low, high] and zero.

    scale = (high - low) / 255 after widening to zero; zero_point = round(-128 - low / scale).

    >>> [float(x) for x in activation_params(tf.constant(0.0), tf.constant(255.0))]
    [1.0, -128.0]
    """
    low = tf.minimum(low, 0.0)
    high = tf.maximum(high, 0.0)
    scale = short_scale((high - low) / LEVELS)
    zero_point = tf.clip_by_value(tf.round(LOWEST - low / scale), LOWEST, HIGHEST)
    return scale, zero_point


def fake_quant(x: tf.Tensor, scale: tf.Tensor, zero_point: tf.Tensor) -> tf.Tensor:
    """x rounded and clamped to (q - zero_point) * scale, q in [-128, 127], in x's float type.

    The gradient passes inside the range and is zero outside. TensorFlow's own operator does the
    work, because the TFLite converter turns exactly that one into a QUANTIZE/DEQUANTIZE pair, and
    both ends of the range are exact.
    """
    low = (LOWEST - zero_point) * scale
    high = (HIGHEST - zero_point) * scale
    y = tf.quantization.fake_quant_with_min_max_vars(tf.cast(x, tf.float32), low, high, num_bits=8)
    return tf.cast(y, x.dtype)


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


def marker(x: tf.Tensor, scale: float, zero_point: int) -> tf.Tensor:
    """`fake_quant` with constants: the float conversion makes it a QUANTIZE/DEQUANTIZE pair."""
    low = (LOWEST - zero_point) * scale
    high = (HIGHEST - zero_point) * scale
    return tf.quantization.fake_quant_with_min_max_args(x, low, high, num_bits=8)


def weight_scale(weight: tf.Tensor, channel_axes: tuple[int, ...]) -> tf.Tensor:
    """One scale per channel, max|w| / 127, shaped to broadcast against the weight.

    `channel_axes` are the axes that together count output channels: (3,) for a convolution, (2, 3)
    for a depthwise one.
    """
    axes = [axis for axis in range(len(weight.shape)) if axis not in channel_axes]
    largest = tf.reduce_max(tf.abs(weight), axis=axes, keepdims=True)
    return short_scale(largest / LARGEST_WEIGHT)


def weight_steps(weight: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """The integers q in [-127, 127] of a weight, as float32."""
    return tf.clip_by_value(tf.round(weight / scale), -LARGEST_WEIGHT, LARGEST_WEIGHT)


@tf.custom_gradient
def _on_grid(weight: tf.Tensor, scale: tf.Tensor):  # type: ignore[no-untyped-def]
    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return upstream, None

    return weight_steps(weight, scale) * scale, gradient


def fake_quant_weight(weight: tf.Tensor, channel_axes: tuple[int, ...]) -> tf.Tensor:
    """The weight on its int8 grid; the gradient passes straight through (arXiv:1308.3432).

    >>> float(fake_quant_weight(tf.constant([[127.0], [0.6]]), (1,))[1, 0])
    1.0
    """
    return _on_grid(weight, tf.stop_gradient(weight_scale(weight, channel_axes)))
