"""Which tensor and operator of a quantized model stands for which of the float model, by name and
by structure.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from int8x.comparison import reals
from int8x.float_islands import BORDERS
from int8x.graph import Graph
from int8x.rules import RULES
from int8x.subgraph import Operator, Subgraph, Tensor

# Weights are the same ones, quantized, when they point the same way or mostly lie within a step.
_LEAST_COSINE = 0.9
_WITHIN_A_STEP = 0.9

# Options that say how an operator is quantized, not what it computes.
_NOT_MEANING = ("quantizedBiasType", "asymmetricQuantizeInputs", "weightsFormat", "potScaleInt16")


@dataclasses.dataclass
class Pairing:
    """tensors: float activation -> the tested model's, its QUANTIZE and DEQUANTIZE left behind.

    operators: float operator -> the tested one that computes the same from paired inputs, place by
    place. likeness: of each with weights, the cosine of float and dequantized weights, and whether
    they are the same up to rounding. by_name, by_structure: how many tensors were paired how.
    """

    tensors: dict[Tensor, Tensor] = dataclasses.field(default_factory=dict)
    operators: dict[Operator, Operator] = dataclasses.field(default_factory=dict)
    likeness: dict[Operator, tuple[float, bool]] = dataclasses.field(default_factory=dict)
    by_name: int = 0
    by_structure: int = 0

    @property
    def strangers(self) -> dict[Operator, float]:
        """The paired operators whose weights are not the same, with their cosine."""
        return {op: cosine for op, (cosine, alike) in self.likeness.items() if not alike}


def pair(reference: Graph, tested: Graph) -> Pairing:
    """Pairs the first subgraphs of a prepared float graph and a quantized one.

    Inputs are paired by position. A tensor of the same name (or name/int8) and shape is a pair.
    What has no namesake is paired by structure: an operator whose inputs are paired, with that
    tested operator of the same kind, options, shapes and constants that reads the very partners at
    the very places, when there is exactly one. Outputs left over are paired by position. Both
    interfaces must be alike (comparison.check_interfaces).
    """
    return _Search(reference.main, tested.main).run()


def origin(tensor: Tensor, producers: dict[Tensor, Operator]) -> Tensor:
    """The activation that `tensor` is another form of: QUANTIZE and DEQUANTIZE are walked up."""
    op = producers.get(tensor)
    while op is not None and is_conversion(op):
        tensor = op.inputs[0]
        op = producers.get(tensor)
    return tensor


def is_conversion(op: Operator) -> bool:
    """QUANTIZE or DEQUANTIZE of an activation."""
    return op.kind in BORDERS and op.input(0) is not None and not op.inputs[0].is_constant


class _Search:
    def __init__(self, reference: Subgraph, tested: Subgraph) -> None:
        self.reference, self.tested = reference, tested
        self.producers = tested.links().producers
        self.found = Pairing()
        self.taken: set[Operator] = set()

    def run(self) -> Pairing:
        for mine, other in zip(self.reference.inputs, self.tested.inputs, strict=True):
            self.found.tensors[mine] = other
        names: dict[str, Tensor] = {}
        for tensor in self.tested.tensors:
            names.setdefault(tensor.name, tensor)
        for op in self.reference.operators:
            for tensor in op.outputs:
                self.by_name(tensor, names)
        makers = (self.producers.get(home) for home in self.found.tensors.values())
        self.taken.update(maker for maker in makers if maker is not None)
        for op in self.reference.operators:
            self.operator(op)
        for mine, other in zip(self.reference.outputs, self.tested.outputs, strict=True):
            home = origin(other, self.producers)
            if mine.shape == home.shape and _same_meaning(mine, home):
                self.found.tensors.setdefault(mine, home)
        return self.found

    def by_name(self, tensor: Tensor, names: dict[str, Tensor]) -> None:
        for name in (tensor.name, f"{tensor.name}/int8"):
            other = names.get(name)
            if other is None or other.is_constant or other.shape != tensor.shape:
                continue
            home = origin(other, self.producers)
            if home in self.tested.inputs or not _same_meaning(tensor, home):
                continue
            self.found.tensors[tensor] = home
            self.found.by_name += 1
            return

    def operator(self, op: Operator) -> None:
        homes = [self.found.tensors.get(t) for t in op.outputs]
        if not homes or op.kind in BORDERS:
            return
        if all(home is not None for home in homes):
            makers = {self.producers.get(home) for home in homes if home is not None}
            maker = makers.pop()
            if not makers and maker is not None and self.reads_the_same(op, maker):
                self.found.operators[op] = maker
                likeness = _likeness(op, maker, self.producers)
                if likeness is not None:
                    self.found.likeness[op] = likeness
            return
        alike = [
            other
            for other in self.tested.operators
            if other not in self.taken
            and self.reads_the_same(op, other)
            and _same_work(op, other, self.producers)
        ]
        if len(alike) != 1:
            return
        self.taken.add(alike[0])
        self.found.operators[op] = alike[0]
        for tensor, partner in zip(op.outputs, alike[0].outputs, strict=True):
            if tensor not in self.found.tensors:
                self.found.tensors[tensor] = partner
                self.found.by_structure += 1

    def reads_the_same(self, op: Operator, other: Operator) -> bool:
        """The same kind, and at each place the partner, or constants on both sides."""
        if op.kind != other.kind or op.custom_code != other.custom_code:
            return False
        if len(op.outputs) != len(other.outputs):
            return False
        for place in range(max(len(op.inputs), len(other.inputs))):
            mine, its = op.input(place), other.input(place)
            if mine is None or its is None:
                present = mine if its is None else its
                if present is not None and not present.is_constant:
                    return False
            elif mine.is_constant or mine.is_variable:
                if not (its.is_variable or constant_of(its, self.producers) is not None):
                    return False
            elif self.found.tensors.get(mine) is not origin(its, self.producers):
                return False
        return True


def constant_of(tensor: Tensor, producers: dict[Tensor, Operator]) -> Tensor | None:
    """The constant that a tensor is, or is the DEQUANTIZE of; None for activations."""
    op = producers.get(tensor)
    while op is not None and op.kind in (*BORDERS, "DENSIFY") and op.input(0) is not None:
        tensor = op.inputs[0]
        op = producers.get(tensor)
    return tensor if tensor.is_constant else None


def _same_meaning(tensor: Tensor, other: Tensor) -> bool:
    """A float tensor may be coded; any other keeps its type."""
    if tensor.dtype == other.dtype:
        return True
    return tensor.is_float and other.quant is not None and other.quant.axis is None


def _same_work(op: Operator, other: Operator, producers: dict[Tensor, Operator]) -> bool:
    """The same options, output shapes and constants."""
    for tensor, its in zip(op.outputs, other.outputs, strict=True):
        if tensor.shape != its.shape or not _same_meaning(tensor, its):
            return False
    if _meaning(op) != _meaning(other) or op.custom_options != other.custom_options:
        return False
    return all(alike for _, alike in _constants(op, other, producers))


def _meaning(op: Operator) -> dict[str, object]:
    fields = {} if op.options is None else vars(op.options)
    return {n: np.asarray(f).tolist() for n, f in fields.items() if n not in _NOT_MEANING and f}


def _likeness(
    op: Operator, other: Operator, producers: dict[Tensor, Operator]
) -> tuple[float, bool] | None:
    """Of the weights of two paired operators, None where there are none to compare."""
    rule = RULES.get(op.kind)
    if rule is None or rule.weights is None:
        return None
    mine, its = op.input(rule.weights.index), other.input(rule.weights.index)
    if mine is None or its is None or not mine.is_constant or not mine.is_float:
        return None
    constant = constant_of(its, producers)
    return None if constant is None else _alike(mine, constant)


def _constants(
    op: Operator, other: Operator, producers: dict[Tensor, Operator]
) -> Iterator[tuple[float, bool]]:
    for place in range(min(len(op.inputs), len(other.inputs))):
        mine, its = op.input(place), other.input(place)
        if mine is None or its is None or not mine.is_constant:
            continue
        constant = constant_of(its, producers)
        if constant is not None:
            yield _alike(mine, constant)


def _alike(mine: Tensor, its: Tensor) -> tuple[float, bool]:
    """Cosine of two constants, and whether they are the same one up to rounding."""
    try:
        x, q = mine.values, its.values
    except TypeError:  # strings, or stored sparse
        return 1.0, mine.dtype == its.dtype or its.quant is not None
    if x.size != q.size:
        return 0.0, False
    if not mine.is_float:
        return (1.0, True) if np.array_equal(x, q.reshape(x.shape)) else (0.0, False)
    y, step = dequantize(its), _step(its)
    x = x.astype(np.float64)
    y, step = y.reshape(x.shape), np.broadcast_to(step, q.shape).reshape(x.shape)
    close = float(np.mean(np.abs(x - y) <= step)) if x.size else 1.0
    norm = float(np.sqrt(np.sum(x * x)) * np.sqrt(np.sum(y * y)))
    cosine = float(np.sum(x * y)) / norm if norm else float(close == 1.0)
    return cosine, cosine >= _LEAST_COSINE or close >= _WITHIN_A_STEP


def _step(tensor: Tensor) -> np.ndarray:
    if tensor.quant is None:
        return np.full((1,) * len(tensor.shape), 1e-3)
    return _along(tensor.quant.scales, tensor)


def dequantize(tensor: Tensor) -> np.ndarray:
    """A constant as the reals it stands for, in double, per-channel scales included."""
    quant = tensor.quant
    if quant is None or quant.axis is None:
        return reals(tensor.values, quant)
    zeros = _along(quant.zero_points, tensor)
    return (tensor.values.astype(np.float64) - zeros) * _along(quant.scales, tensor)


def _along(numbers: np.ndarray, tensor: Tensor) -> np.ndarray:
    """One number per channel, shaped to meet the tensor."""
    shape = [1] * len(tensor.shape)
    if tensor.quant is not None and tensor.quant.axis is not None:
        shape[tensor.quant.axis] = -1
    return numbers.astype(np.float64).reshape(shape)
