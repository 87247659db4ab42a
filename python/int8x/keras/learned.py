"""Learned step size: ranges and scales that the optimizer moves together with the weights.

Esser et al. 2020 (arXiv:1902.08153) for weights, Bhalgat et al. 2020 (arXiv:2004.09576) for
activations whose range is not centred. What is learned is the logarithm of a range over the range
that calibration found: zero at first, so that weight decay pulls back to the calibrated range, and
an optimizer with a step of its own size, such as Adam, moves every range by the same share.
"""

from __future__ import annotations

import math

import tensorflow as tf

from int8x.keras import fake_quant


def learned_scale(first: tf.Tensor, log: tf.Tensor) -> tf.Tensor:
    """`short_scale` of first * exp(log); the gradient passes straight through the shortening."""

    @tf.custom_gradient
    def shortened(exact: tf.Tensor):  # type: ignore[no-untyped-def]
        return fake_quant.short_scale(exact), lambda upstream: upstream

    return shortened(first * tf.exp(log))


def learned_weight(weight: tf.Tensor, scale: tf.Tensor, bits: int) -> tf.Tensor:
    """The weight on the grid of a learned scale, which broadcasts against it.

    d/dw = 1 inside the grid, 0 outside; d/dscale = sum of round(w / scale) - w / scale inside, of
    the last step outside, times 1 / sqrt(n * last step), n weights for each scale. Upstream times
    that sum is (sum of upstream * y - sum of upstream * w inside) / scale: only a mask is kept for
    it that other gradients do not keep anyway.
    """
    largest = float(fake_quant.LARGEST_WEIGHT[bits])
    axes = [axis for axis, size in enumerate(scale.shape) if size == 1]
    share = (math.prod(weight.shape[axis] for axis in axes) * largest) ** -0.5

    @tf.custom_gradient
    def rounded(w: tf.Tensor, s: tf.Tensor):  # type: ignore[no-untyped-def]
        ratio = w / s
        clipped = tf.clip_by_value(ratio, -largest, largest)
        inside = tf.equal(ratio, clipped)
        y = tf.round(clipped) * s

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            passed = tf.where(inside, upstream, 0.0)
            moved = tf.reduce_sum(upstream * y - passed * w, axis=axes, keepdims=True)
            return passed, _finite(moved * (share / s))

        return y, gradient

    return rounded(weight, scale)


def learned_activation(x: tf.Tensor, reach: tf.Tensor, bits: int) -> tf.Tensor:
    """x on the grid of a learned range [-reach[0], reach[1]], both at least zero.

    d/dx = 1 inside, 0 outside. With scale = (reach[0] + reach[1]) / levels, d/dscale = sum of
    round(x / scale) - x / scale inside; d/dreach[1] = d/dscale / levels + the sum of what lies
    above, d/dreach[0] likewise, times 1 / sqrt(n * levels), n values in a sample.
    """
    levels = 255.0 if bits == 8 else 65534.0
    share = (math.prod(size or 1 for size in x.shape[1:]) * levels) ** -0.5

    @tf.custom_gradient
    def rounded(v: tf.Tensor, far: tf.Tensor):  # type: ignore[no-untyped-def]
        below, above = tf.unstack(far)
        scale, zero_point = fake_quant.reach_params(below, above, bits)
        y = fake_quant.fake_quant(v, scale, zero_point, bits)
        least, most = fake_quant.ends(scale, zero_point, bits)

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            inside, by_low, by_high = _split(upstream, v, least, most, bits)
            with tf.control_dependencies([upstream]):  # else forward has it, and keeps it till here
                error = y - v
            by_scale = _dot(inside, error) / (scale * levels)
            return inside, _finite(share * (tf.stack([-by_low, by_high]) + by_scale))

        return y, gradient

    return tf.cast(rounded(tf.cast(x, tf.float32), reach), x.dtype)


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """The sum of a * b without an array for the products."""
    a, b = (tf.reshape(each, [1, -1]) for each in (a, b))
    return tf.reshape(tf.matmul(a, b, transpose_b=True), [])


def _split(
    upstream: tf.Tensor, x: tf.Tensor, low: tf.Tensor, high: tf.Tensor, bits: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """A gradient where x lies in [low, high], and its sums where x lies below and above.

    Of 8 bits in one pass: the gradient of TensorFlow's own operator is just this.
    """
    if bits == 8:
        return tf.quantization.fake_quant_with_min_max_vars_gradient(upstream, x, low, high)
    below, above = x < low, x > high
    sums = (tf.reduce_sum(tf.where(part, upstream, 0.0)) for part in (below, above))
    return tf.where(below | above, 0.0, upstream), *sums


def _finite(gradient: tf.Tensor) -> tf.Tensor:
    """The gradient, zero where it is no number: a lost batch must not cost the range."""
    return tf.where(tf.math.is_finite(gradient), gradient, 0.0)
