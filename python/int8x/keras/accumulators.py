"""What TFLite's int32 accumulators do to a result, where INT4 weights make it matter.

A step of the accumulator, and of the bias, is M = scale_in * scale_w / scale_out steps of the
output. With 127 steps of weights M is about a hundredth, and what is rounded there training need
not know. With 7 it is 18 times as much, and two roundings turn one result in ten another way: the
bias's, and the kernel's first of two. For M = m * 2^-s, m in [1/2, 1), it rounds acc * m to an
integer, then that times 2^-s, both halves away from zero: the first rounds at 2^-s of an output
step. FULLY_CONNECTED rounds but once.
"""

from __future__ import annotations

import keras
from keras import ops

from int8x.keras import fake_quant, private, tensors
from int8x.keras.kernel_grids import KernelGrid, KernelGrids, kernels
from int8x.keras.norms import affine, by_channel
from int8x.keras.plan import CallPlan
from int8x.keras.ranges import Ranges
from int8x.keras.tensors import Tensor

_EXPONENT = 2**23  # a float32's bits hold 127 + exponent above these
_OFF_TIE = 2.0**-11  # of an output step: above float32's error, below any first rounding


class Accumulators:
    """The roundings of calls whose kernel has 4 bits, as the file's operators make them."""

    def __init__(self, ranges: Ranges, kernels: KernelGrids) -> None:
        self.ranges, self.kernels = ranges, kernels

    def rounds(self, plan: CallPlan, first: bool = False) -> bool:
        """Whether training sees the accumulator of this call's kernel, or of the first of two."""
        return self._source(plan, first) is not None and self._grid(plan, first).bits == 4

    def rounds_twice(self, plan: CallPlan, first: bool = False) -> bool:
        """Whether it sees two roundings of a result: FULLY_CONNECTED makes one, of acc * M."""
        return self.rounds(plan, first) and not isinstance(plan.operation, keras.layers.Dense)

    def bias_error(self, plan: CallPlan, bias: Tensor) -> Tensor:
        """What rounding adds to a bias [output channels], with BatchNormalization folded in, no
        gradient; zero until the input has a range.
        """
        assert plan.source is not None
        scale, _, seen = self.ranges.params(plan.source)
        step = scale * self._weight_scales(plan)
        error = ops.round(bias / step) * step - bias
        return ops.stop_gradient(ops.where(seen > 0.0, error, ops.zeros_like(error)))

    def folded_error(self, plan: CallPlan) -> Tensor:
        """The same for the offset of the BatchNormalization that folds into the call."""
        factor, offset = affine(plan.norm)
        if plan.operation.use_bias:
            offset = offset + private.master_value(plan.operation.bias) * factor
        return self.bias_error(plan, offset)

    def requantized(self, plan: CallPlan, y: Tensor, group: int, first: bool = False) -> Tensor:
        """The result of the call's kernel, or of the first of two, after the first rounding of its
        accumulator, halves on their way to the second one moved off the tie; the gradient passes
        through. group: of the output.
        """
        source = self._source(plan, first)
        assert source is not None
        scale_in, _, seen = self.ranges.params(source)
        scale, _, seen_out = self.ranges.params(group)
        bits = tensors.bits_of(scale_in * self._weight_scales(plan, first) / scale)
        shift = ops.maximum(126 - bits // _EXPONENT, 0)
        grid = scale * tensors.float_of((127 - shift) * _EXPONENT)  # 2^-shift of a step
        wide = ops.cast(y, "float32")
        rounded = ops.sign(wide) * (ops.floor(ops.abs(wide) / grid + 0.5) * grid + scale * _OFF_TIE)
        rounded = ops.where((seen > 0.0) & (seen_out > 0.0), rounded, wide)
        return ops.cast(wide + ops.stop_gradient(rounded - wide), y.dtype)

    def _source(self, plan: CallPlan, first: bool) -> int | None:
        return plan.first_source if first else plan.source

    def _grid(self, plan: CallPlan, first: bool = False) -> KernelGrid:
        names = kernels(plan)
        return self.kernels[plan.operation, names[0 if first else -1][0]]

    def _weight_scales(self, plan: CallPlan, first: bool = False) -> Tensor:
        """The kernel's scales as the file has them, or one or one a channel; channels of zeros take
        the largest of the others.
        """
        grid = self._grid(plan, first)
        weight = private.master_value(getattr(plan.operation, grid.name))
        if plan.norm is not None and not first:
            factor = by_channel(affine(plan.norm)[0], weight, grid.channel_axes)
            if not grid.axes:
                return ops.reshape(grid.scale(weight * factor), [-1])
            scale = fake_quant.short_scale(grid.scale(weight) * ops.abs(factor))
            weight = weight * factor
        else:
            scale = grid.scale(weight)
        if not grid.axes:
            return ops.reshape(scale, [-1])
        others = [axis for axis in range(len(weight.shape)) if axis not in grid.axes]
        alive = ops.any(weight != 0.0, axis=others, keepdims=True)
        most = ops.max(ops.where(alive, scale, ops.zeros_like(scale)))
        return ops.reshape(ops.where(alive, scale, fake_quant.short_scale(most)), [-1])
