"""What TFLite's int32 accumulators do to a result.

A step of the accumulator, and of the bias, is M = scale_in * scale_w / scale_out steps of the
output. With 127 steps of weights M is about a hundredth, and what is rounded there training need
not know. With 7 it is 18 times as much, and two roundings turn one result in ten another way: the
bias's, and the kernel's first of two. For M = m * 2^-s, m in [1/2, 1), it rounds acc * m to an
integer, then that times 2^-s, both halves away from zero: the first rounds at 2^-s of an output
step. FULLY_CONNECTED rounds but once.

Where nothing is trained the sum in float32 is brought back to the accumulator's integer, and goes
on in the kernel's own arithmetic (gemmlowp's fixed point, in float64, which holds its products).
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from int8x.keras import fake_quant, private, tensors
from int8x.keras.kernel_grids import KernelGrid, KernelGrids, kernels
from int8x.keras.norms import affine, by_channel
from int8x.keras.plan import CallPlan
from int8x.keras.ranges import Ranges
from int8x.keras.tensors import Tensor

_FULLY_CONNECTED = (keras.layers.Dense, keras.layers.EinsumDense)
_EXPONENT = 2**23  # a float32's bits hold 127 + exponent above these
_OFF_TIE = 2.0**-11  # of an output step: above float32's error, below any first rounding


class Accumulators:
    """The roundings of the file's operators: in training of those whose kernel has 4 bits, else of
    all.
    """

    def __init__(self, ranges: Ranges, kernels: KernelGrids) -> None:
        self.ranges, self.kernels = ranges, kernels

    def rounds(self, plan: CallPlan, training: bool, first: bool = False) -> bool:
        """Whether a run sees the accumulator of this call's kernel, or of the first of two."""
        if not plan.sources or self._source(plan, first) is None or self.ranges.bits == 16:
            return False
        return not training or self._grid(plan, first).bits == 4

    def bias_error(self, plan: CallPlan, bias: Tensor) -> Tensor:
        """What rounding adds to a bias, one number for each output channel, with BatchNormalization
        folded in, no gradient; zero until the input has a range.
        """
        scale, _, seen = self.ranges.params(self._source(plan, False))
        step = scale * self._weight_scales(plan)
        if len(bias.shape) > 1:
            step = ops.reshape(ops.broadcast_to(step, (math.prod(bias.shape),)), bias.shape)
        error = ops.round(bias / step) * step - bias
        return ops.stop_gradient(ops.where(seen > 0.0, error, ops.zeros_like(error)))

    def folded_error(self, plan: CallPlan) -> Tensor:
        """The same for the offset of the BatchNormalization that folds into the call."""
        factor, offset = affine(plan.norm)
        if plan.operation.bias is not None:
            offset = offset + private.master_value(plan.operation.bias) * factor
        return self.bias_error(plan, offset)

    def requantized(
        self, plan: CallPlan, y: Tensor, group: int, training: bool, first: bool = False
    ) -> Tensor:
        """The result of the call's kernel, or of the first of two, as its accumulator leaves it.

        group: of the output.
        """
        if isinstance(plan.operation, _FULLY_CONNECTED):
            return y
        scale_in, _, seen = self.ranges.params(self._source(plan, first))
        steps = self._weight_scales(plan, first)
        if training or not tensors.FLOAT64:
            return self._first_of_two(y, scale_in * steps, seen, group)
        return self._twice(
            y, ops.cast(scale_in, "float64") * ops.cast(steps, "float64"), seen, group
        )

    def leaky(self, x: Tensor, y: Tensor, slope: float, source: Any, end: int | None) -> Tensor:
        """LEAKY_RELU y of x, two products: by 1 and by the slope. source, end: groups of x, y."""
        scale, _, seen = self.ranges.params(source)
        below = self._twice(y, scale * slope, seen, end)
        return ops.where(x < 0.0, below, self._twice(y, scale, seen, end))

    def product(
        self, y: Tensor, one: Any, two: Any, end: Any, factor: float = 1.0, room: float = 0.0
    ) -> Tensor:
        """MUL or BATCH_MATMUL of two tensors; one, two, end: their groups and that of the result y,
        which has so much room below its range. factor: the first of them was multiplied by.
        """
        scale, _, seen = self.ranges.params(one)
        scale_too, _, seen_too = self.ranges.params(two)
        step = scale * scale_too * factor
        return self._twice(y, step, ops.minimum(seen, seen_too), end, room)

    def mean(self, y: Tensor, source: Any, end: Any, count: int, total: bool = False) -> Tensor:
        """MEAN of `count` numbers, which is a product by a multiplier shifted by log2 of them; or
        their total, which is a mean in steps so many times as small. source, end: groups of the
        numbers and of the result y.
        """
        scale_in, _, seen = self.ranges.params(source)
        scale, _, _ = self.ranges.params(end)
        ratio = scale_in / scale * (count if total else 1)
        shift = self._shift(ratio, count.bit_length() - 1)
        return self._first(y, shift, seen, end)

    def rescaled(self, plan: CallPlan, terms: list[Tensor]) -> list[Tensor]:
        """Tensors that are joined on another grid than their own, by QUANTIZE."""
        moved = []
        for term, source in zip(terms, plan.sources, strict=True):
            assert source is not None
            scale, _, seen = self.ranges.params(source)
            moved.append(term if source == plan.end else self._twice(term, scale, seen, plan.end))
        return moved

    def affine(
        self, source: int, end: Any, x: Tensor, factor: Tensor, offset: Tensor, scale: Tensor
    ) -> Tensor:
        """x * factor + offset as a depthwise convolution of one point, factor being on the grid of
        `scale`. source, end: groups of x and of the result.
        """
        scale_in, _, seen = self.ranges.params(source)
        step = scale_in * scale
        y = x * factor + ops.where(seen > 0.0, ops.round(offset / step) * step, offset)
        return self._twice(y, step, seen, end)

    def _twice(
        self, y: Tensor, step: Tensor, seen: Tensor, group: Any, room: float = 0.0
    ) -> Tensor:
        """y, a multiple of `step`, after both roundings, in the kernel's integers where there is
        float64 to hold them. seen: 0 while there is no step.
        """
        if not tensors.FLOAT64:
            return self._first_of_two(y, step, seen, group, room)
        scale, _, seen_out = self.ranges.params(group, room)
        wide, step, out = (ops.cast(number, "float64") for number in (y, step, scale))
        ratio = step / out
        shift = 126 - tensors.bits_of(ops.cast(ratio, "float32")) // _EXPONENT
        power = ops.power(ops.cast(2.0, "float64"), ops.cast(shift, "float64"))
        multiplier = ops.floor(ratio * power * 2.0**31 + 0.5)
        left, right = ops.maximum(1.0 / power, 1.0), ops.maximum(power, 1.0)
        once = ops.floor(ops.round(wide / step) * left * multiplier / 2.0**31 + 0.5)
        twice = ops.sign(once) * ops.floor(ops.abs(once) / right + 0.5)
        known = (seen > 0.0) & (seen_out > 0.0)
        rounded = ops.cast(ops.where(known, twice * out, wide), y.dtype)
        return y + ops.stop_gradient(rounded - y)

    def _first_of_two(
        self, y: Tensor, step: Tensor, seen: Tensor, group: Any, room: float = 0.0
    ) -> Tensor:
        """y, a multiple of `step`, after the first of two roundings. seen: 0 while there is no
        step.
        """
        scale, _, _ = self.ranges.params(group, room)
        return self._first(y, self._shift(step / scale, 0), seen, group, room)

    def _shift(self, ratio: Tensor, more: int) -> Tensor:
        """s of ratio = m * 2^-s, m in [1/2, 1), and `more`, at least 0."""
        return ops.maximum(126 + more - tensors.bits_of(ratio) // _EXPONENT, 0)

    def _first(
        self, y: Tensor, shift: Tensor, seen: Tensor, group: Any, room: float = 0.0
    ) -> Tensor:
        """y rounded at 2^-shift of an output step, halves on their way to the second rounding moved
        off the tie; the gradient passes through.
        """
        scale, _, seen_out = self.ranges.params(group, room)
        grid = scale * tensors.float_of((127 - shift) * _EXPONENT)
        wide = ops.cast(y, "float32")
        rounded = ops.sign(wide) * (ops.floor(ops.abs(wide) / grid + 0.5) * grid + scale * _OFF_TIE)
        rounded = ops.where((seen > 0.0) & (seen_out > 0.0), rounded, wide)
        return ops.cast(wide + ops.stop_gradient(rounded - wide), y.dtype)

    def _source(self, plan: CallPlan, first: bool) -> Any:
        return plan.sources[0 if first else -1]

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
