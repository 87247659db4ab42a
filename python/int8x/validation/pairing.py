"""Which tensor and operator of a quantized model stands for which of the float model, by name and
by structure.
"""

import dataclasses

import numpy as np

from int8x.inspection.float_islands import BORDERS
from int8x.quantization.markers import reads_integers
from int8x.tflite.graph import Graph
from int8x.tflite.subgraph import Operator, Subgraph, Tensor
from int8x.validation.likeness import constant_of, constants_agree, weights_likeness

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
        for op in self.reference.operators:
            if reads_integers(op):
                self.found.tensors[op.outputs[0]] = self.found.tensors[op.inputs[0]]
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
        for name in (tensor.name, f"{tensor.name}/int8", f"{tensor.name}/int16"):
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
                likeness = weights_likeness(op, maker, self.producers)
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
    return constants_agree(op, other, producers)


def _meaning(op: Operator) -> dict[str, object]:
    fields = {} if op.options is None else vars(op.options)
    return {n: np.asarray(f).tolist() for n, f in fields.items() if n not in _NOT_MEANING and f}
