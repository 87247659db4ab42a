"""Learned step size: ranges and scales that the optimizer moves together with the weights.

Esser et al. 2020 (arXiv:1902.08153) for weights, Bhalgat et al. 2020 (arXiv:2004.09576) for
activations whose range is not centred. What is learned is the logarithm of a range over the range
that calibration found: zero at first, so that weight decay pulls back to the calibrated range, and
an optimizer with a step of its own size, such as Adam, moves every range by the same share.
"""

from __future__ import annotations

import tensorflow as tf

from int8x.keras import fake_quant


@tf.custom_gradient
def shortened(scale: tf.Tensor):  # type: ignore[no-untyped-def]
    """`short_scale` with the gradient passed straight through."""

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return upstream

    return fake_quant.short_scale(scale), gradient


def learned_weight(weight: tf.Tensor, scale: tf.Tensor, bits: int) -> tf.Tensor:
    """The weight on the grid of a learned scale, which broadcasts against it.

    d/dw = 1 inside the grid, 0 outside; d/dscale = sum of round(w / scale) - w / scale inside, of
    the last step outside, times 1 / sqrt(n * last step), n weights for each scale.
    """
    largest = float(fake_quant.LARGEST_WEIGHT[bits])
    axes = [axis for axis, size in enumerate(scale.shape) if size == 1]
    count = 1.0
    for axis in axes:
        count *= weight.shape[axis]
    share = 1.0 / (count * largest) ** 0.5

    @tf.custom_gradient
    def rounded(w: tf.Tensor, s: tf.Tensor):  # type: ignore[no-untyped-def]
        ratio = w / s
        steps = tf.clip_by_value(tf.round(ratio), -largest, largest)
        inside = tf.abs(ratio) <= largest

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            moved = tf.where(inside, steps - ratio, steps)
            by_scale = tf.reduce_sum(upstream * moved, axis=axes, keepdims=True) * share
            return tf.where(inside, upstream, tf.zeros_like(upstream)), _finite(by_scale)

        return steps * s, gradient

    return rounded(weight, scale)


def learned_activation(x: tf.Tensor, low: tf.Tensor, high: tf.Tensor, bits: int) -> tf.Tensor:
    """x on the grid of a learned range [low, high], scalars with low <= 0 <= high.

    d/dx = 1 inside, 0 outside. With scale = (high - low) / levels, d/dscale = sum of round(x /
    scale) - x / scale inside; d/dhigh = d/dscale / levels + the sum of what lies above, d/dlow
    likewise, times 1 / sqrt(n * levels), n values in a sample.
    """
    levels = 255.0 if bits == 8 else 65534.0
    count = 1.0
    for size in x.shape[1:]:
        count *= size or 1
    share = (levels / count) ** 0.5 / levels

    @tf.custom_gradient
    def rounded(v: tf.Tensor, a: tf.Tensor, b: tf.Tensor):  # type: ignore[no-untyped-def]
        scale, zero_point = fake_quant.activation_params(a, b, bits)
        y = fake_quant.fake_quant(v, scale, zero_point, bits)
        least, most = fake_quant.ends(scale, zero_point, bits)

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            inside, by_low, by_high = _split(upstream, v, least, most, bits)
            by_scale = tf.reduce_sum(inside * (y - v)) / (scale * levels)
            by_low, by_high = share * (by_low - by_scale), share * (by_high + by_scale)
            return inside, _finite(by_low), _finite(by_high)

        return y, gradient

    return tf.cast(rounded(tf.cast(x, tf.float32), low, high), x.dtype)


def _split(
    upstream: tf.Tensor, x: tf.Tensor, low: tf.Tensor, high: tf.Tensor, bits: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """A gradient where x lies in [low, high], and its sums where x lies below and above.

    Of 8 bits in one pass: the gradient of TensorFlow's own operator is just this.
    """
    if bits == 8:
        return tf.quantization.fake_quant_with_min_max_vars_gradient(upstream, x, low, high)
    below, above = x < low, x > high
    nothing = tf.zeros_like(upstream)
    sums = (tf.reduce_sum(tf.where(part, upstream, nothing)) for part in (below, above))
    return tf.where(below | above, nothing, upstream), *sums


def _finite(gradient: tf.Tensor) -> tf.Tensor:
    """The gradient, zero where it is no number: a lost batch must not cost the range."""
    return tf.where(tf.math.is_finite(gradient), gradient, tf.zeros_like(gradient))
