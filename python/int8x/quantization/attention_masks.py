"""Masks of attention: values so low that SOFTMAX makes zero of them, such as -1e9 or the lowest
float. A range that held them would leave the logits beside them one step.
"""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from int8x.calibration.density import density_of
from int8x.calibration.observer import Stats
from int8x.calibration.tensor_stats import TensorStats
from int8x.quantization.grid_group import GridGroup, Range
from int8x.quantization.precision import Precision
from int8x.quantization.range_choice import choose
from int8x.quantization.rules import RULES, Rule
from int8x.tflite.quant_params import from_range
from int8x.tflite.subgraph import Operator, Subgraph, Tensor

MASKED = -1000.0  # no logit is so low

_ALL = (-math.inf, math.inf)
_NO_RULE = Rule()
_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
_READ_NO_VALUES = ("SHAPE", "RANK")


def before_softmax(subgraph: Subgraph) -> set[Tensor]:
    """The activations from which every way leads to a SOFTMAX, through nothing but operators that
    move, add or, by a constant, scale values: where masks are.
    """
    links, found = subgraph.links(), set[Tensor]()
    for op in reversed(subgraph.operators):
        for tensor in op.inputs:
            if tensor is None or tensor.is_constant or not _holds_logits(tensor):
                continue
            readers = [r for r in links.consumers(tensor) if r.kind not in _READ_NO_VALUES]
            if tensor not in subgraph.outputs and all(_leads_on(r, found) for r in readers):
                found.add(tensor)
    return found


def unmasked(stats: TensorStats) -> TensorStats | None:
    """The statistics of what SOFTMAX reads without masked values, which lie in [min, MASKED]; None
    when there are none, or nothing else. What is kept of each sample's extremes is not known.
    """
    if not stats.min <= MASKED or not stats.max > MASKED:
        return None
    bins = stats.bins.copy()
    lowest = int(np.float32(MASKED).view(np.uint32)) >> 16
    bins[lowest:] = 0  # negative ones, from -1000 down: the bins are those of the upper 16 bits
    rest = dataclasses.replace(stats, bins=bins, count=int(bins.sum()), min=MASKED)
    return dataclasses.replace(rest, min=float(density_of(rest).low[0]))


def room(bits: int, length: int) -> float:
    """How far below every logit masked values must lie, in a row of that length of what SOFTMAX
    reads: beside any logit each makes less than half a step of probability, and all of them at most
    1 / 32 in 8 bits, half a step in 16.
    """
    return math.log(max(512, 32 * length) if bits == 8 else 65536 * length)


class Masks:
    """Takes masked values out of the ranges of grid groups. needed: of each operand, by (operator,
    index), and of each activation, the range beyond which it saturates its SOFTMAX's input anyway.
    """

    def __init__(
        self,
        subgraph: Subgraph,
        precision: Precision,
        stats: Stats | None,
        groups: dict[tuple[Tensor, int], GridGroup],
    ):
        self.precision, self.groups = precision, groups
        self.seen = {} if stats is None else stats.tensors
        self.path = before_softmax(subgraph)
        self.needed: dict[tuple[Operator, int], Range] = {}
        self.values: dict[Tensor, Range] = dict.fromkeys(subgraph.outputs, _ALL)
        for op in reversed(subgraph.operators):
            self.read(op)

    def take_out(self) -> None:
        """What SOFTMAX reads keeps its logits and the room below them, at which masked values
        saturate; what they come from keeps what does not saturate there.
        """
        for group in {id(group): group for group in self.groups.values()}.values():
            if group.pin is not None or group.range is None:
                continue
            if not self.path.issuperset(group.tensors):
                continue
            needed = _union(self.values.get(tensor, _ALL) for tensor in group.tensors)
            below = math.isfinite(needed[0]) and any(map(self.far_below, group.tensors))
            above = math.isfinite(needed[1]) and any(map(self.far_above, group.tensors))
            if below or above:  # the observer's range holds masked values on either side
                met = [seen for t in group.tensors if (seen := self.seen.get(t.name)) is not None]
                low, high = min(seen.min for seen in met), max(seen.max for seen in met)
                group.range = max(float(low), needed[0]), min(float(high), needed[1])
                group.source += ", without what is masked"

    def read(self, op: Operator) -> None:
        """What an operator needs of its operands. All that read its results came before."""
        if op.kind in _READ_NO_VALUES:
            return
        bits = self.precision.bits(op)
        kept = _union([self.values.get(tensor, _ALL) for tensor in op.outputs] or [_ALL])
        operands = [_ALL] * len(op.inputs)
        if op.kind == "SOFTMAX" and bits is not None:
            operands[0] = self.logits(op, bits)
        elif kept != _ALL and bits is not None and _adds_or_scales(op):
            operands = self.terms(op, kept, bits)
        elif kept != _ALL and RULES.get(op.kind, _NO_RULE).scales == "same":
            operands = [kept] * len(op.inputs)
        for place, (tensor, needed) in enumerate(zip(op.inputs, operands, strict=True)):
            if tensor is None:
                continue
            self.values[tensor] = _union([needed, self.values.get(tensor, needed)])
            if needed != _ALL:
                self.needed[op, place] = needed

    def logits(self, op: Operator, bits: int) -> Range:
        """What SOFTMAX needs of what it reads: all of it, unless there are masked values."""
        tensor = op.inputs[0]
        seen = self.seen.get(tensor.name)
        rest = None if seen is None else unmasked(seen)
        if rest is None:
            return _ALL
        recipe = self.precision.recipe_for(tensor)
        observer = "minmax" if "average" in recipe.observer else recipe.observer
        (low, high), _ = choose(rest, observer, percentile=recipe.percentile, bits=bits)
        below = room(bits, tensor.shape[-1]) / max(getattr(op.options, "beta", 1.0), 1e-6)
        return low - below, high

    def terms(self, op: Operator, kept: Range, bits: int) -> list[Range]:
        """What an addition or a multiplication needs of its operands when `kept` is what its
        result needs.
        """
        (low, high), a, b = kept, self.real(op.inputs[0], bits), self.real(op.inputs[1], bits)
        if a is None or b is None:
            return [_ALL, _ALL]
        (a_low, a_high), (b_low, b_high) = a, b
        if op.kind == "ADD":
            return [(low - b_high, high - b_low), (low - a_high, high - a_low)]
        if op.kind == "SUB":
            return [(low + b_low, high + b_high), (a_low - high, a_high - low)]
        place = next(i for i, tensor in enumerate(op.inputs) if tensor.is_constant)
        other, needed = op.inputs[1 - place], [_ALL, _ALL]
        factor = float(op.inputs[place].values.min(initial=math.inf))
        masked = self.far_below(other) or self.far_above(other)
        if masked and factor > 0:  # masked, and then scaled
            needed[1 - place] = low / factor, high / factor
        elif not masked and (bound := self.bound(op.outputs[0], kept)) > 0:
            # 1 where a value is masked, times -1e9: its least step is to saturate the result.
            step = from_range(*(self.groups[other, bits].real() or (0.0, 0.0)), "", bits).scale
            needed[place] = -bound / step, bound / step
        return needed

    def far_below(self, tensor: Tensor) -> bool:
        """Whether an activation holds masked values."""
        seen = self.seen.get(tensor.name)
        return seen is not None and bool(seen.min <= MASKED)

    def far_above(self, tensor: Tensor) -> bool:
        """Whether it holds such as are to be subtracted."""
        seen = self.seen.get(tensor.name)
        return seen is not None and bool(seen.max >= -MASKED)

    def bound(self, tensor: Tensor, kept: Range) -> float:
        """The size from which on values saturate, if masks are all that is so large; else 0."""
        below, above = self.far_below(tensor), self.far_above(tensor)
        bound = 0.0 if below == above else -kept[0] if below else kept[1]
        return bound if math.isfinite(bound) else 0.0

    def real(self, tensor: Tensor, bits: int) -> Range | None:
        if tensor.is_constant:
            return float(tensor.values.min(initial=0)), float(tensor.values.max(initial=0))
        group = self.groups.get((tensor, bits))
        return None if group is None else group.real()


def _union(ranges: Iterable[Range]) -> Range:
    lows, highs = zip(*ranges, strict=True)
    return min(lows), max(highs)


def _holds_logits(tensor: Tensor) -> bool:
    return tensor.dtype in ("FLOAT32", "INT8", "INT16")


def _leads_on(reader: Operator, found: set[Tensor]) -> bool:
    if reader.kind == "SOFTMAX":
        return True
    rule = RULES.get(reader.kind, _NO_RULE)
    on = rule.scales == "same" or reader.kind in _CONVERSIONS or _adds_or_scales(reader)
    return on and bool(reader.outputs) and all(t in found for t in reader.outputs)


def _adds_or_scales(op: Operator) -> bool:
    if getattr(op.options, "fusedActivationFunction", 0):
        return False
    constants = sum(tensor is not None and tensor.is_constant for tensor in op.inputs)
    return op.kind in ("ADD", "SUB") or (op.kind == "MUL" and constants == 1)
