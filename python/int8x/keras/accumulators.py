"""What TFLite's int32 accumulators do to a result, where INT4 weights make it matter.

A step of the accumulator, and of the bias, is M = scale_in * scale_w / scale_out steps of the
output. With 127 steps of weights M is about a hundredth, and what is rounded there training need
not know. With 7 it is 18 times as much, and two roundings turn one result in ten another way: the
bias's, and the kernel's first of two. For M = m * 2^-s, m in [1/2, 1), it rounds acc * m to an
integer, then that times 2^-s, both halves away from zero: the first rounds at 2^-s of an output
step.
"""

from __future__ import annotations

import tensorflow as tf

from int8x.keras import fake_quant, kinds, private
from int8x.keras.kernel_grids import KernelGrid, KernelGrids
from int8x.keras.norms import affine, by_channel
from int8x.keras.plan import CallPlan
from int8x.keras.ranges import Ranges

_EXPONENT = 2**23  # a float32's bits hold 127 + exponent above these
_OFF_TIE = 2.0**-11  # of an output step: above float32's error, below any first rounding


class Accumulators:
    """The roundings of calls whose kernel has 4 bits, as the file's operators make them."""

    def __init__(self, ranges: Ranges, kernels: KernelGrids) -> None:
        self.ranges, self.kernels = ranges, kernels

    def rounds(self, plan: CallPlan) -> bool:
        """Whether training sees the accumulator of this call."""
        return plan.source is not None and self._grid(plan).bits == 4

    def bias_error(self, plan: CallPlan, bias: tf.Tensor) -> tf.Tensor:
        """What rounding adds to a bias [output channels], with BatchNormalization folded in, no
        gradient; zero until the input has a range.
        """
        assert plan.source is not None
        scale, _, seen = self.ranges.params(plan.source)
        step = scale * self._weight_scales(plan)
        error = tf.round(bias / step) * step - bias
        return tf.stop_gradient(tf.where(seen > 0.0, error, tf.zeros_like(error)))

    def folded_error(self, plan: CallPlan) -> tf.Tensor:
        """The same for the offset of the BatchNormalization that folds into the call."""
        factor, offset = affine(plan.norm)
        if plan.operation.use_bias:
            offset = offset + private.master_value(plan.operation.bias) * factor
        return self.bias_error(plan, offset)

    def requantized(self, plan: CallPlan, y: tf.Tensor, group: int) -> tf.Tensor:
        """The call's result after the kernel's first rounding, halves on their way to the second
        one moved off the tie; the gradient passes through. group: of the output.
        """
        assert plan.source is not None
        scale_in, _, seen = self.ranges.params(plan.source)
        scale, _, seen_out = self.ranges.params(group)
        bits = tf.bitcast(scale_in * self._weight_scales(plan) / scale, tf.int32)
        shift = tf.maximum(126 - bits // _EXPONENT, 0)
        grid = scale * tf.bitcast((127 - shift) * _EXPONENT, tf.float32)  # 2^-shift of a step
        wide = tf.cast(y, tf.float32)
        rounded = tf.sign(wide) * (tf.floor(tf.abs(wide) / grid + 0.5) * grid + scale * _OFF_TIE)
        rounded = tf.where((seen > 0.0) & (seen_out > 0.0), rounded, wide)
        return tf.cast(wide + tf.stop_gradient(rounded - wide), y.dtype)

    def _grid(self, plan: CallPlan) -> KernelGrid:
        name = "pointwise_kernel" if plan.kind == kinds.SEPARABLE else "kernel"
        return self.kernels[plan.operation, name]

    def _weight_scales(self, plan: CallPlan) -> tf.Tensor:
        """The kernel's scales as the file has them, one or one a channel; channels of zeros take
        the largest of the others.
        """
        grid = self._grid(plan)
        weight = private.master_value(getattr(plan.operation, grid.name))
        if plan.norm is not None:
            factor = by_channel(affine(plan.norm)[0], weight, grid.channel_axes)
            if not grid.axes:
                return tf.reshape(grid.scale(weight * factor), [-1])
            scale = fake_quant.short_scale(grid.scale(weight) * tf.abs(factor))
            weight = weight * factor
        else:
            scale = grid.scale(weight)
        if not grid.axes:
            return tf.reshape(scale, [-1])
        others = [axis for axis in range(len(weight.shape)) if axis not in grid.axes]
        alive = tf.reduce_any(weight != 0.0, axis=others, keepdims=True)
        most = tf.reduce_max(tf.where(alive, scale, tf.zeros_like(scale)))
        return tf.reshape(tf.where(alive, scale, fake_quant.short_scale(most)), [-1])
