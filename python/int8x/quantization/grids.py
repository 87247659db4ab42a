"""Chooses the integer grid of every activation: given, fixed by an operator, shared with
neighbours, or calibrated.
"""

import dataclasses
import math

import numpy as np

from int8x.calibration.observer import Stats
from int8x.errors import QuantizeError, RecipeError
from int8x.quantization.attention_masks import Masks
from int8x.quantization.grid_group import GridGroup, Range
from int8x.quantization.precision import Precision
from int8x.quantization.precision_rules import fixed_output
from int8x.quantization.range_choice import choose
from int8x.quantization.recipe import Recipe
from int8x.quantization.rules import RULES, Rule
from int8x.tflite.quant_params import QuantParams, from_range, real_range
from int8x.tflite.subgraph import Operator, Subgraph, Tensor

# A tensor with other readers joins a shared grid only when that costs it no more than this factor
# in range (one bit).
_JOIN_FACTOR = 2.0

# Constants beyond this stand for "lowest" (PADV2 before a max-pool); they saturate, and stretch no
# range.
_LARGEST_CONSTANT = 1e30

_NO_RULE = Rule()
_RELU6 = 3  # ActivationFunctionType.RELU6
# The largest value that each activation lets through; it makes negative ones zero.
_LARGEST_KEPT = {"RELU": math.inf, "RELU6": 6.0, "RELU_0_TO_1": 1.0}


@dataclasses.dataclass
class Grids:
    """The decision. nominal: each activation's grid, by tensor and bits. reads, writes: where an
    operator needs another one, by (operator, index).

    missing: activations for which nothing gave a range. needed: beyond which range a constant
    operand may be cut off, by (operator, index).
    """

    nominal: dict[tuple[Tensor, int], QuantParams]
    reads: dict[tuple[Operator, int], QuantParams]
    writes: dict[tuple[Operator, int], QuantParams]
    missing: list[Tensor]
    needed: dict[tuple[Operator, int], Range]


def decide(
    subgraph: Subgraph,
    precision: Precision,
    stats: Stats | None,
    interface: list[tuple[Tensor, int]],
) -> Grids:
    """Grids for the activations of operators that become integer, and for the float tensors of
    `interface`, each with its bits. A tensor that is read at 8 and at 16 bits gets two.
    """
    return _Decision(subgraph, precision, stats, interface).grids()


def observed_range(
    stats: Stats | None, tensor: Tensor, recipe: Recipe, bits: int = 8
) -> tuple[Range, str] | None:
    """The real range that the recipe's observer makes of a tensor's statistics, for a grid of
    `bits`, and its source in words.
    """
    seen = None if stats is None else stats.tensors.get(tensor.name)
    if seen is None or not seen.samples:
        return None
    return choose(
        seen, recipe.observer, percentile=recipe.percentile, momentum=recipe.momentum, bits=bits
    )


def constant_grid(tensor: Tensor, bits: int, least: float, most: float) -> QuantParams:
    """The grid of a constant operand: the one it was given, or its values', cut off at least and
    most. Zeros get a fine one: a scale of 1 would coarsen the result.
    """
    given = tensor.range
    if given is not None and given.axis is None and given.bits == bits:
        return given
    low, high = float(tensor.values.min(initial=0)), float(tensor.values.max(initial=0))
    low, high = max(low, least), min(high, most)
    return from_range(low, 1.0 if low == high else high, "its values", bits)


class _Decision:
    def __init__(
        self,
        subgraph: Subgraph,
        precision: Precision,
        stats: Stats | None,
        interface: list[tuple[Tensor, int]],
    ):
        self.subgraph, self.precision, self.stats = subgraph, precision, stats
        self.links = subgraph.links()
        self.groups: dict[tuple[Tensor, int], GridGroup] = {}
        self.cut_reads: list[tuple[Operator, int, GridGroup]] = []
        self.cut_writes: list[tuple[Operator, int, GridGroup]] = []
        operators = [
            (op, bits) for op in subgraph.operators if (bits := precision.bits(op)) is not None
        ]
        for op, bits in operators:
            for tensor in [*(op.inputs[i] for i in RULES[op.kind].data_inputs(op)), *op.outputs]:
                if tensor is not None and tensor.is_float and not tensor.is_constant:
                    self.start(tensor, bits)
        for tensor, bits in interface:
            if tensor.is_float:
                self.start(tensor, bits)
        for op, bits in operators:
            fixed = fixed_output(op.kind, bits)
            if fixed is not None:
                self.fix(op, bits, fixed)
        for op, bits in operators:
            if RULES[op.kind].scales == "same":
                self.share(op, bits)
        for tensor, bits in self.groups:
            self.cut(tensor, self.groups[tensor, bits])
        masks = Masks(subgraph, precision, stats, self.groups)
        masks.take_out()
        self.needed = masks.needed
        for op, bits in operators:
            self.least_scale(op, bits)
            self.refuse_negative(op, bits)

    def start(self, tensor: Tensor, bits: int) -> None:
        """A group of the tensor alone, with what is known of its range."""
        if (tensor, bits) in self.groups:
            return
        group = self.groups[tensor, bits] = GridGroup(tensor, bits)
        asked, given = self.precision.ranges.get(tensor), tensor.range
        if asked is not None:
            group.pin = from_range(*asked, "range of the recipe", bits)
        elif given is not None and given.axis is None and given.bits == bits:
            group.pin = given
        elif given is not None and given.axis is None:
            group.pin = from_range(*real_range(given), given.source, bits)
        elif tensor.is_constant:  # an output that the model does not compute
            group.cover(float(tensor.values.min(initial=0)), float(tensor.values.max(initial=0)))
            group.source = "its values"
        else:
            seen = observed_range(self.stats, tensor, self.precision.recipe_for(tensor), bits)
            if seen is not None:
                group.cover(*seen[0], seen[1])

    def fix(self, op: Operator, bits: int, grid: QuantParams) -> None:
        """Pins the operator's result to the grid that its kernel wants."""
        if op.outputs[0] in self.precision.ranges:
            raise RecipeError(
                f"recipe: the range of {op.outputs[0].name!r} cannot be chosen: TFLite fixes that "
                f"of {op.kind}"
            )
        self.groups[op.outputs[0], bits].pin = grid

    def share(self, op: Operator, bits: int) -> None:
        """Puts a same-grid operator's tensors in one group, or notes where a QUANTIZE must stand
        between.
        """
        rule = RULES[op.kind]
        data = rule.data_inputs(op)
        moving = [i for i in data if not op.inputs[i].is_constant]
        outputs = [i for i, tensor in enumerate(op.outputs) if tensor.is_float]
        if not outputs:
            return
        if not moving:
            self.cover_inputs(op, data, self.groups[op.outputs[outputs[0]], bits])
            return
        if len(data) == 1:
            home = self.groups[op.inputs[data[0]], bits]
            for i in outputs:
                if not self.join(home, op.inputs[data[0]], op.outputs[i], op):
                    self.cut_writes.append((op, i, home))
            return
        home = self.groups[op.outputs[outputs[0]], bits]
        pins = [self.groups[op.inputs[i], bits].pin for i in moving]
        if (
            home.pin is None
            and pins[0] is not None
            and all(p is not None and p.same_grid(pins[0]) for p in pins)
        ):
            home.pin = pins[0]
        self.cover_inputs(op, data, home)
        for i in moving:
            tensor = op.inputs[i]
            if self.groups[tensor, bits] is not home and not self.may_read_on(home, tensor, op):
                self.cut_reads.append((op, i, home))
            elif self.groups[tensor, bits] is not home:
                home = self.merge(home, self.groups[tensor, bits])

    def cover_inputs(self, op: Operator, data: list[int], home: GridGroup) -> None:
        """An unpinned result covers what its operator reads: that holds all it can be."""
        tensors = [op.inputs[i] for i in data]
        reals = [None if t.is_constant else self.groups[t, home.bits].real() for t in tensors]
        known = all(real or t.is_constant for t, real in zip(tensors, reals, strict=True))
        if home.pin is not None or not known:
            return
        # A bound that nothing reaches, as of 1e12, stretches no grid: there it saturates.
        met = [real for real in (*reals, home.real()) if real is not None]
        bounds = op.kind in ("MINIMUM", "MAXIMUM") and len(met) > 0
        if len(home.tensors) == 1:
            home.range = None
        for tensor, real in zip(tensors, reals, strict=True):
            if real is not None:
                home.cover(*real, f"like {tensor.name}")
            else:
                values = tensor.values[np.abs(tensor.values) < _LARGEST_CONSTANT]
                ends = float(values.min(initial=0)), float(values.max(initial=0))
                if bounds:
                    low, high = min(real[0] for real in met), max(real[1] for real in met)
                    ends = min(max(ends[0], low), high), min(max(ends[1], low), high)
                home.cover(*ends, "its constant inputs")

    def join(self, home: GridGroup, source: Tensor, result: Tensor, op: Operator) -> bool:
        """One input: the result takes the input's grid, or the input the result's, where nothing
        else reads the input.
        """
        other = self.groups[result, home.bits]
        if other is home:
            return True
        if home.pin is not None and other.pin is not None and not home.pin.same_grid(other.pin):
            return False
        if other.pin is not None and home.pin is None and self.read_outside(home, op):
            return False
        self.merge(home, other)
        return True

    def may_read_on(self, home: GridGroup, tensor: Tensor, op: Operator) -> bool:
        """Whether an input may take the grid of an operator with several inputs for its own."""
        group = self.groups[tensor, home.bits]
        if group.pin is not None:
            return home.pin is not None and home.pin.same_grid(group.pin)
        if not self.read_outside(group, op):
            return True
        mine, shared = group.real(), home.real()
        if mine is None or shared is None:
            return mine is None
        covers = shared[0] <= mine[0] and mine[1] <= shared[1]
        return covers and _width(shared) <= _JOIN_FACTOR * _width(mine)

    def read_outside(self, group: GridGroup, op: Operator) -> bool:
        """Whether anything but `op` and operators within the group read its tensors."""
        inside = {
            id(op),
            *(id(p) for t in group.tensors if (p := self.links.producer(t)) is not None),
        }
        readers = [reader for t in group.tensors for reader in self.links.consumers(t)]
        exposed = any(t in self.subgraph.outputs for t in group.tensors)
        return exposed or any(
            id(r) not in inside or RULES.get(r.kind, _NO_RULE).scales != "same"
            for r in readers
            if r is not op
        )

    def merge(self, a: GridGroup, b: GridGroup) -> GridGroup:
        a.pin = a.pin or b.pin
        if b.range is not None:
            a.cover(*b.range, b.source)
        a.least_scale = max(a.least_scale, b.least_scale)
        for tensor in b.tensors:
            self.groups[tensor, a.bits] = a
        a.tensors += b.tensors
        for cuts in (self.cut_reads, self.cut_writes):
            cuts[:] = [(op, i, a if group is b else group) for op, i, group in cuts]
        return a

    def cut(self, tensor: Tensor, group: GridGroup) -> None:
        """A calibrated range ends where all readers, RELU and its kin, cut values off: the kernel
        that writes the tensor saturates there, which is what they would do next.
        """
        readers = self.links.consumers(tensor)
        kept = tensor in self.subgraph.outputs or tensor in self.subgraph.inputs or not readers
        alone = group.pin is None and group.range is not None and len(group.tensors) == 1
        if kept or not alone or any(op.kind not in _LARGEST_KEPT for op in readers):
            return
        assert group.range is not None
        most = max(_LARGEST_KEPT[op.kind] for op in readers)
        low, high = group.range
        if low < 0 or high > most:
            group.range = max(low, 0.0), min(max(high, 0.0), most)
            group.source += f", cut as {readers[0].kind} does"

    def least_scale(self, op: Operator, bits: int) -> None:
        """Some kernels abort or wrap when the output's scale is far below the inputs': keep it
        above what they take.
        """
        output = self.groups.get((op.outputs[0], bits))
        scales = [
            scale
            for place in RULES[op.kind].data_inputs(op)
            if (scale := self.scale(op, place, bits)) is not None
        ]
        if output is None or not scales:
            return
        least = 0.0
        if op.kind in ("ADD", "SUB"):  # prepare aborts below max / 2^19, of int16 below max / 2^14
            least = max(scales) * (2.0**-18 if bits == 8 else 2.0**-13)
        elif op.kind == "SQUARED_DIFFERENCE":  # (2 max)^2 / (2^14 scale) < 1
            least = max(scales) ** 2 * 2.0**-11
        elif op.kind == "MUL":  # the product, shifted left, must fit int32
            least = math.prod(scales) * (2.0**-14 if bits == 8 else 1.0)
        elif op.kind == "HARD_SWISH":  # input / 128 / scale < 1
            least = scales[0] / 64
        if op.kind == "RELU6" or getattr(op.options, "fusedActivationFunction", 0) == _RELU6:
            least = max(least, 6 * 2.0**-30)  # 6 / scale must fit int32
        self.raise_scale(output, least, op)
        if op.kind in (
            "SOFTMAX",
            "LOG_SOFTMAX",
        ):  # the kernels abort unless beta * scale * 2^26 > 1
            beta = max(getattr(op.options, "beta", 1.0), 2.0**-20)
            self.raise_scale(self.groups[op.inputs[0], bits], 2.0**-25 / beta, op)

    def scale(self, op: Operator, place: int, bits: int) -> float | None:
        """That of an operand, None where it is not known."""
        tensor = op.inputs[place]
        if tensor.is_constant:
            if not np.isfinite(tensor.values).all():
                return None  # its operator's result will be refused
            needed = self.needed.get((op, place), (-math.inf, math.inf))
            return float(constant_grid(tensor, bits, *needed).scale)
        group = self.groups.get((tensor, bits))
        grid = None if group is None else self.grid(group)
        return None if grid is None else float(grid.scale)

    def refuse_negative(self, op: Operator, bits: int) -> None:
        """The kernels of SQRT and RSQRT fail, when they run, on what lies below zero."""
        if op.kind in ("SQRT", "RSQRT") and (group := self.groups.get((op.inputs[0], bits))):
            grid = self.grid(group)
            low = 0.0 if grid is None else real_range(grid)[0]
            if low < 0:
                raise QuantizeError(
                    f"{op.name}: the range of {op.kind}'s input must start at 0, it starts at "
                    f"{low:g}: the int8 kernel fails below zero"
                )

    def raise_scale(self, group: GridGroup, least: float, op: Operator) -> None:
        group.least_scale = max(group.least_scale, least)
        if group.pin is not None and group.pin.scale < least:
            raise QuantizeError(
                f"{op.name}: the given scale {group.pin.scale:g} is too small for {op.kind}, "
                "which takes at least "
                f"{least:g} here"
            )

    def grid(self, group: GridGroup) -> QuantParams | None:
        if group.pin is not None:
            return group.pin
        if group.range is None:
            return None
        grid = from_range(*group.range, group.source, group.bits)
        if grid.scale < group.least_scale:
            source = f"{group.source}, widened for its operator"
            steps = 255 if group.bits == 8 else 32767
            width = _width(group.range) if group.bits == 8 else max(map(abs, group.range))
            grow = group.least_scale * steps / max(width, 1e-300)
            low, high = (
                (x * grow for x in group.range) if width else (0.0, steps * group.least_scale)
            )
            grid = from_range(low, high, source, group.bits)
        return grid

    def grids(self) -> Grids:
        nominal, missing = {}, []
        for (tensor, bits), group in self.groups.items():
            grid = self.grid(group)
            if grid is None:
                missing.append(tensor)
            else:
                pinned_elsewhere = (
                    group.pin is not None
                    and tensor is not group.tensors[0]
                    and tensor.range is not group.pin
                )
                source = f"{grid.source}, shared" if pinned_elsewhere else grid.source
                nominal[tensor, bits] = dataclasses.replace(grid, source=source)
        cuts = [
            {(op, i): grid for op, i, group in cut if (grid := self.grid(group)) is not None}
            for cut in (self.cut_reads, self.cut_writes)
        ]
        return Grids(nominal, cuts[0], cuts[1], list(dict.fromkeys(missing)), self.needed)


def _width(real: Range) -> float:
    return max(real[1], 0.0) - min(real[0], 0.0)
