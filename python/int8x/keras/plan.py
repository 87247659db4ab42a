"""Where a model's tensors are rounded, decided from one recorded run.

TFLite's int8 operators round once, at their output. So a tensor is rounded where an operator of the
finished file ends: not between a convolution, the BatchNormalization that folds into it and the
ReLU that fuses with it; not after a reshape, which moves int8 values; on TFLite's own grid after a
softmax. Tensors that TFLite wants on one common grid (both sides of a pooling, all sides of a
concatenation) form a group with one range.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from int8x.keras import chains, kinds
from int8x.keras.attention import AttentionCore
from int8x.keras.trace import RAW, Call, Record


@dataclass(frozen=True)
class Site:
    """One place where a tensor is rounded.

    `host` is the layer whose sub-layer keeps the range and `name` the range's name there; sites of
    one `group` share the union of their ranges. `fixed` is a (scale, zero_point) that TFLite
    dictates. `observe` says that this site watches its tensor; `in_training` is False for the
    probabilities at the model's end: rounded to 1/256 they would give the loss neither small values
    nor gradients.
    """

    host: keras.Layer
    name: str
    group: int
    fixed: tuple[float, int] | None = None
    observe: bool = True
    in_training: bool = True
    average: bool = False  # the tensor holds averages of points on the site's own grid
    room: float = 0.0  # by how much the grid reaches below the range


@dataclass
class CallPlan:
    """What to do at one call: positions count the floating tensors of its arguments or results.

    `sources` are the groups of the tensors that its operators read, of a separable convolution that
    of each kernel's, None for one that is not rounded; `middle` lies between those two kernels,
    `inner` before an inline activation that does not fuse, `partial` are the sums (or products) on
    the way of an Add (or Multiply) of more than two tensors, those of an Average with the whole
    sum, `inside` the tensors by name of a
    layer that is a chain of operators; `end` is the group in which the
    operator of a call without a kernel ends.
    """

    operation: Any
    kind: str
    inputs: dict[int, Site] = field(default_factory=dict)
    middle: Site | None = None
    inner: Site | None = None
    partial: list[Site] = field(default_factory=list)
    inside: dict[str, Site] = field(default_factory=dict)
    outputs: dict[int, Site] = field(default_factory=dict)
    norm: Any = None  # the BatchNormalization that folds into this call's kernel
    folds_into: CallPlan | None = None  # this call is such a BatchNormalization
    sources: tuple[int | None, ...] = ()
    end: int | None = None
    ends: CallPlan | None = None  # the call with a kernel whose operator ends at this call's output
    window: tuple[int, ...] | None = None  # of the plain pooling that an adaptive one is
    last: bool = False  # of kind FLOAT: an operator of the integer file reads the result


@dataclass
class Plan:
    """The plan of a model: the calls of each operation in order, and the model's own ends.

    `unranged` names what gets no learned range: raw operators between raw operators, the inside of
    unknown layers.
    """

    calls: list[CallPlan] = field(default_factory=list)
    inputs: dict[int, Site] = field(default_factory=dict)
    outputs: dict[int, Site] = field(default_factory=dict)
    unranged: list[str] = field(default_factory=list)

    def sites(self) -> list[Site]:
        """Every site once, in order of first use."""
        found: dict[int, Site] = {}
        for group in [
            self.inputs,
            *(part for call in self.calls for part in _parts(call)),
            self.outputs,
        ]:
            for site in group.values():
                found.setdefault(id(site), site)
        return list(found.values())


def _parts(call: CallPlan) -> list[dict[int, Site]]:
    inside = {
        number: site
        for number, site in enumerate(
            (call.middle, call.inner, *call.partial, *call.inside.values())
        )
        if site
    }
    return [call.inputs, inside, call.outputs]


class _Groups:
    """Union-find over values; a group may be fixed to a grid."""

    def __init__(self) -> None:
        self.parent: dict[int, int] = {}
        self.fixed: dict[int, tuple[float, int]] = {}

    def find(self, value: int) -> int:
        while (up := self.parent.get(value, value)) != value:
            value = up
        return value

    def join(self, a: int, b: int) -> None:
        a, b = self.find(a), self.find(b)
        if a == b:
            return
        self.parent[b] = a
        if b in self.fixed:
            self.fixed[a] = self.fixed.pop(b)

    def fix(self, value: int, grid: tuple[float, int]) -> None:
        self.fixed[self.find(value)] = grid

    def grid(self, value: int) -> tuple[float, int] | None:
        return self.fixed.get(self.find(value))


def make_plan(record: Record, bits: int = 8, excluded: Set[int] = frozenset()) -> Plan:
    """Decides for every call of a record what is rounded and what is folded.

    bits: of the activations, 8 or 16. excluded: ids of layers that stay float, with what fuses into
    them; the record then tells their values as raw ones.
    """
    return _Planner(record, bits, excluded).run()


class _Planner:
    def __init__(self, record: Record, bits: int, excluded: Set[int]) -> None:
        self.record = record
        self.bits, self.excluded = bits, excluded
        self.plan = Plan(unranged=list(record.raw))
        self.groups = _Groups()
        self.edges: dict[int, Site] = {}
        self.next_group = max(record.producer, default=0) + 1

    def run(self) -> Plan:
        record = self.record
        self.plan.calls = [self._begun(call) for call in record.calls]
        self._leave_float()
        self._fold()
        self._group()
        for number in range(len(record.calls)):
            self._place_inputs(number)
            self._place_outputs(number)
        for position, value in enumerate(record.inputs):
            self.plan.inputs[position] = self._site(
                value, self._reading_layer(value), f"model_input{position}"
            )
        for position, value in enumerate(record.outputs):
            if record.producer[value] == RAW:
                host = self._layer_before(len(record.calls))
                self.plan.outputs[position] = self._site(value, host, f"model_output{position}")
        self._find_sources()
        return self.plan

    def _begun(self, call: Call) -> CallPlan:
        """A call's plan before what lies around it is looked at."""
        if call.kind == kinds.BOUNDARY:
            return CallPlan(call.operation, kinds.BOUNDARY)
        known = call.inputs and call.inputs[0] not in self.record.moved
        shape = self.record.shapes[call.inputs[0]] if known else ()
        if shape and (window := kinds.even_window(call.operation, shape)) is not None:
            return CallPlan(call.operation, kinds.SAME_ROUNDED, window=window)
        if len(call.inputs) == 2 and kinds.multiplies_matrices(call.operation):
            return CallPlan(call.operation, kinds.PRODUCT)
        kind = kinds.FIXED if call.normalizes else kinds.kind_of(call.operation)
        if kind == kinds.UNKNOWN or (kind == kinds.JOIN and call.kind == kinds.RELU):
            kind = call.kind or kind
        if kinds.is_operation(call.operation, "Pad") and call.kind == kinds.FREE:
            kind = kinds.FREE  # with another number than zero
        return CallPlan(call.operation, kind)

    def _find_sources(self) -> None:
        rounded = {site.group for site in self.plan.sites()}
        for call, plan in zip(self.record.calls, self.plan.calls, strict=True):
            groups = (self.groups.find(value) for value in call.inputs)
            plan.sources = tuple(group if group in rounded else None for group in groups)
            if plan.middle is not None:
                plan.sources += (plan.middle.group,)
            if plan.kind in (kinds.WEIGHTS, kinds.SEPARABLE) and plan.inner is None:
                self._end(plan, call.outputs[0]).ends = plan
            elif call.outputs and plan.folds_into is None:
                last = self._end(plan, call.outputs[0])
                plan.end = last.outputs[0].group if 0 in last.outputs else None

    def _end(self, plan: CallPlan, value: int) -> CallPlan:
        """The call at whose output the operator ends that begins with `plan` and makes `value`."""
        while self._fuses(plan, value):
            reader = self._only_reader(value)
            if reader is None:  # a raw ReLU
                break
            plan, value = self.plan.calls[reader], self.record.calls[reader].outputs[0]
        return plan

    def _only_reader(self, value: int) -> int | None:
        """The one call that alone reads the value, if that is so."""
        readers = self.record.readers[value]
        if value in self.record.outputs or len(readers) != 1 or readers[0] == RAW:
            return None
        return readers[0]

    def _leave_float(self) -> None:
        """Calls of excluded layers, with the BatchNormalization and ReLU that fuse into them."""
        floats = {
            number
            for number, call in enumerate(self.record.calls)
            if id(call.operation) in self.excluded
        }
        for number, call in enumerate(self.record.calls):
            plan = self.plan.calls[number]
            if number not in floats or not call.outputs:
                continue
            reader = self._only_reader(call.outputs[0])
            follows = {kinds.WEIGHTS: (kinds.NORM, kinds.RELU), kinds.SEPARABLE: (kinds.NORM,)}
            fusing = (*follows.get(plan.kind, ()), kinds.RELU)
            if reader is not None and self.plan.calls[reader].kind in fusing:
                floats.add(reader)
        for number in floats:
            self.plan.calls[number].kind = kinds.FLOAT
        for number in sorted(floats):
            call = self.record.calls[number]
            for value in call.outputs:
                readers = self.record.readers[value]
                inner = bool(readers) and all(reader in floats for reader in readers)
                if value in self.record.outputs or not inner:
                    self.plan.calls[number].last = True
        for number in floats:
            for value in self.record.calls[number].outputs:
                if self.record.producer[value] == number:
                    self.record.producer[value] = RAW
        for value, readers in self.record.readers.items():
            self.record.readers[value] = [RAW if r in floats else r for r in readers]

    def _fold(self) -> None:
        """Marks each BatchNormalization that alone reads a linear kernel layer's output."""
        for number, call in enumerate(self.record.calls):
            plan = self.plan.calls[number]
            if plan.kind not in (kinds.WEIGHTS, kinds.SEPARABLE) or _activation(plan) != "linear":
                continue
            if isinstance(call.operation, keras.layers.EinsumDense) and _makes_axes(call.operation):
                continue
            reader = self._only_reader(call.outputs[0])
            if reader is None or self.plan.calls[reader].kind != kinds.NORM:
                continue
            norm = self.plan.calls[reader].operation
            if norm.axis in (-1, norm.input_spec.ndim - 1):
                plan.norm = norm
                self.plan.calls[reader].folds_into = plan

    def _group(self) -> None:
        calls = list(zip(self.record.calls, self.plan.calls, strict=True))
        for call, plan in calls:
            if plan.kind in (kinds.SAME, kinds.SAME_ROUNDED) and call.inputs:
                for value in call.outputs:
                    self.groups.join(call.inputs[0], value)
        for call, plan in calls:
            grid = _output_grid(plan, self.bits)
            if call.normalizes:
                grid = kinds.UNIT_GRIDS.get(self.bits)
            if grid is not None:
                self.groups.fix(call.outputs[0], grid)
            if plan.kind == kinds.ATTENTION:
                for scores in call.outputs[1:]:
                    self.groups.fix(scores, kinds.FIXED_GRIDS[self.bits]["softmax"])
        for call, plan in calls:
            if (
                plan.kind == kinds.JOIN
                and len({self.groups.grid(value) for value in call.inputs}) == 1
            ):
                for value in call.inputs:
                    self.groups.join(call.outputs[0], value)

    def _site(self, value: int, host: keras.Layer, name: str, observe: bool = True) -> Site:
        grid = self.groups.grid(value)
        trained = grid is None or value not in self.record.outputs
        return Site(host, name, self.groups.find(value), grid, observe and grid is None, trained)

    def _place_inputs(self, number: int) -> None:
        """Values that a raw operator made are rounded where a layer reads them."""
        call, plan = self.record.calls[number], self.plan.calls[number]
        for position, value in enumerate(call.inputs):
            if self.record.producer[value] != RAW or number not in self.record.readers[value]:
                continue
            if value not in self.edges:
                host, name = self._host(number, f"input{call.turn}_{position}")
                self.edges[value] = self._site(value, host, name)
                plan.inputs[position] = self.edges[value]
            else:
                host = self.edges[value].host
                plan.inputs[position] = self._site(
                    value, host, self.edges[value].name, observe=False
                )

    def _place_outputs(self, number: int) -> None:
        call, plan = self.record.calls[number], self.plan.calls[number]
        if plan.kind == kinds.FLOAT:
            return
        if plan.kind in (kinds.WEIGHTS, kinds.SEPARABLE):
            if plan.kind == kinds.SEPARABLE:
                plan.middle = self._inside(call.operation, f"middle{call.turn}")
            if kinds.activation_kind(_activation(plan)) in (kinds.FIXED, kinds.FREE):
                plan.inner = self._inside(call.operation, f"inner{call.turn}")
        if isinstance(call.operation, kinds.MERGES):
            averages = isinstance(call.operation, keras.layers.Average)  # the sum is one more
            for number_of_terms in range(2, len(call.inputs) + averages):
                plan.partial.append(
                    self._inside(call.operation, f"partial{call.turn}_{number_of_terms}")
                )
        for name, grid in chains.tensors(plan.operation, plan.kind, self.bits).items():
            host, name_there = self._host(number, f"{name}{call.turn}")
            site = self._inside(host, name_there)
            plan.inside[name] = replace(site, fixed=grid, observe=grid is None)
        inside = _unknown_inside(plan)
        if inside and not {*call.outputs} <= {*call.inputs} and call.kind is None:
            self.plan.unranged.append(f"the inside of {inside}")
        for position, value in enumerate(call.outputs):
            if self.record.producer[value] != number or self._fuses(plan, value):
                continue
            joined = plan.kind == kinds.JOIN and self.groups.find(
                call.inputs[0]
            ) == self.groups.find(value)
            scores = plan.kind == kinds.ATTENTION and position > 0  # rounded inside
            if plan.kind == kinds.SAME or joined or scores:
                continue
            host, name = self._host(number, f"output{call.turn}_{position}")
            site = self._site(value, host, name, observe=plan.kind != kinds.SAME_ROUNDED)
            plan.outputs[position] = replace(site, average=plan.kind == kinds.SAME_ROUNDED)

    def _inside(self, host: keras.Layer, name: str) -> Site:
        self.next_group += 1
        return Site(host, name, self.next_group)

    def _fuses(self, plan: CallPlan, value: int) -> bool:
        """Whether the next operator swallows this output, so that TFLite never rounds it."""
        if plan.norm is not None:
            return True
        linear = plan.kind in (kinds.NORM, kinds.AFFINE, kinds.ARITHMETIC) or (
            plan.kind in (kinds.WEIGHTS, kinds.SEPARABLE) and _activation(plan) == "linear"
        )
        relu = self.record.rectified.get(value)
        if relu is not None:
            return linear and self.record.is_placed(relu)
        reader = self._only_reader(value)
        return linear and reader is not None and self.plan.calls[reader].kind == kinds.RELU

    def _host(self, number: int, name: str) -> tuple[keras.Layer, str]:
        operation = self.record.calls[number].operation
        if isinstance(operation, AttentionCore):
            return operation.layer, name
        if isinstance(operation, keras.Layer):
            return operation, name
        return self._layer_before(number), f"call{number}_{name}"

    def _layer_before(self, number: int) -> keras.Layer:
        """The nearest layer called before a call, else the nearest after it."""
        order = [*reversed(self.record.calls[:number]), *self.record.calls[number:]]
        for call in order:
            if isinstance(call.operation, keras.Layer):
                return call.operation
        raise ValueError("the model calls no layer: there is nothing to train with QATCallback")

    def _reading_layer(self, value: int) -> keras.Layer:
        for reader in self.record.readers[value]:
            if reader != RAW and isinstance(self.record.calls[reader].operation, keras.Layer):
                return self.record.calls[reader].operation
        return self._layer_before(0)


def _activation(plan: CallPlan) -> str:
    return kinds.activation_name(plan.operation.activation)


def _unknown_inside(plan: CallPlan) -> str:
    """What of an operation may be several operators of which nothing is known; "" for nothing."""
    what = f"{type(plan.operation).__name__} {plan.operation.name!r}"
    if plan.kind == kinds.UNKNOWN:
        return what
    activation = getattr(plan.operation, "activation", None)
    known = activation is None or plan.inside or kinds.is_operator(_activation(plan))
    return "" if known else f"{_activation(plan)} in {what}"


def _makes_axes(layer: keras.layers.EinsumDense) -> bool:
    """Whether a layer's channels lie on several axes; BatchNormalization's lie on the last."""
    return len(kinds.channel_axes(layer)) > 1


def _output_grid(plan: CallPlan, bits: int) -> tuple[float, int] | None:
    if plan.kind == kinds.FIXED:
        return kinds.fixed_grid(plan.operation, bits)
    if plan.kind in (kinds.WEIGHTS, kinds.SEPARABLE):
        return kinds.FIXED_GRIDS[bits].get(_activation(plan))
    return None
