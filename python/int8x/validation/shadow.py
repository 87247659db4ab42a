"""The shadow of a quantized model: its float operators, each fed with what the quantized operator
read, so that the error of each stands alone.
"""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from int8x.runtime.coding import as_real
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph
from int8x.tflite.schema import NUMPY_TYPES
from int8x.tflite.subgraph import Operator, Subgraph, Tensor
from int8x.validation.pairing import Pairing, is_conversion


@dataclasses.dataclass(frozen=True)
class Watched:
    """One operator of the quantized model. outputs: its own and, for each, the shadow's output of
    that place. covers: how many float operators it answers for.
    """

    operator: Operator
    outputs: tuple[tuple[Tensor, int], ...]
    covers: int


@dataclasses.dataclass(frozen=True)
class Shadow:
    """graph: the float operators, cut apart. feeds: for each of its inputs, the tensor of the
    quantized model (or of its own interface) whose values it takes. watched: in the quantized
    model's order.
    """

    graph: Graph
    feeds: tuple[Tensor, ...]
    watched: tuple[Watched, ...]


def cast(reference: Graph, tested: Graph, pairing: Pairing) -> Shadow | None:
    """The shadow of `tested`: the operators of `reference`, the prepared float graph. None when no
    operator could be paired.

    Wherever a float operator reads a paired tensor it reads a new input instead, to be fed with the
    quantized model's values as reals: those at the same place of the paired operator, else those
    that the paired tensor was first written with. Operators between paired tensors that are not
    paired themselves are computed in float, and counted with the next paired tensor.
    """
    return _Cast(reference, tested, pairing).run()


class _Cast:
    def __init__(self, reference: Graph, tested: Graph, pairing: Pairing) -> None:
        self.reference, self.tested, self.pairing = reference, tested, pairing
        self.producers = tested.main.links().producers
        self.feeds: dict[tuple[Tensor, str], Tensor] = {}

    def run(self) -> Shadow | None:
        pairs, operators = self.pairing.tensors, []
        for op in self.reference.main.operators:
            other = self.pairing.operators.get(op)
            inputs = [self.read(op, other, place) for place in range(len(op.inputs))]
            operators.append(dataclasses.replace(op, inputs=inputs))
        # A result that nobody reads may have no memory.
        read = {t for op in self.tested.main.operators for t in op.inputs}
        read.update(self.tested.main.outputs)
        compared: dict[Operator, list[tuple[Tensor, Tensor, Operator]]] = {}
        for op in operators:
            for tensor in op.outputs:
                home = pairs.get(tensor)
                maker = None if home is None else self.producers.get(home)
                if home in read and home is not None and maker is not None and tensor.is_float:
                    compared.setdefault(maker, []).append((home, tensor, op))
        if not compared:
            return None
        main = Subgraph("main", operators=operators)
        main.outputs = list(dict.fromkeys(t for each in compared.values() for _, t, _ in each))
        sizes = _trim(main)
        fed = {made: source for (source, _), made in self.feeds.items()}
        main.inputs = [t for t in dict.fromkeys(main.used()) if t in fed]
        produced = {t for op in main.operators for t in op.outputs}
        own = dict(zip(self.reference.main.inputs, self.tested.main.inputs, strict=True))
        for tensor in dict.fromkeys(t for op in main.operators for t in op.inputs):
            if tensor in own and tensor not in produced:
                main.inputs.append(tensor)
        graph = Graph()
        graph.subgraphs = [main, *self.reference.subgraphs[1:]]
        graph.origin = f"the shadow of {self.tested.origin}"
        graph.compact()
        places = {tensor: place for place, tensor in enumerate(main.outputs)}
        watched = tuple(
            Watched(
                op,
                tuple((home, places[tensor]) for home, tensor, _ in compared[op]),
                max(sizes[float_op] for *_, float_op in compared[op]),
            )
            for op in self.tested.main.operators
            if op in compared
        )
        return Shadow(graph, tuple(fed.get(t) or own[t] for t in main.inputs), watched)

    def read(self, op: Operator, other: Operator | None, place: int) -> Tensor | None:
        """What the shadow's operator reads at this place."""
        tensor: Tensor | None = op.inputs[place]
        if tensor is None or tensor.is_constant or tensor.is_variable:
            return tensor
        home = self.pairing.tensors.get(tensor)
        if home is None or tensor.dtype not in NUMPY_TYPES:
            return tensor
        source = other.inputs[place] if other is not None else home
        key = (source, tensor.dtype)
        if key not in self.feeds:
            made = Tensor(f"{source.name}/read", tensor.shape, tensor.dtype)
            made.signature = tensor.signature
            self.feeds[key] = made
        return self.feeds[key]


def _trim(main: Subgraph) -> dict[Operator, int]:
    """Takes out operators that no output needs; how many operators stand behind each that is left,
    itself included.
    """
    producers, needed = main.links().producers, set(main.outputs)
    behind: dict[Operator, set[Operator]] = {}
    for op in main.operators:
        makers = [producers[t] for t in op.inputs if t is not None and t in producers]
        behind[op] = {op}.union(*(behind[maker] for maker in makers))
    for op in reversed(main.operators):
        if any(t in needed for t in op.outputs) or not op.outputs:
            needed.update(t for t in op.inputs if t is not None)
    kept = [op for op in main.operators if not op.outputs or any(t in needed for t in op.outputs)]
    main.operators = kept
    return {op: len(behind[op]) for op in kept}


class ShadowRun:
    """A shadow loaded, to be run after each sample of the quantized model."""

    def __init__(self, shadow: Shadow, num_threads: int = 1) -> None:
        self.shadow = shadow
        self.runner = Runner(
            shadow.graph.to_bytes(), shadow.graph.origin, num_threads, keep_all=False
        )

    def run(
        self, value: Callable[[Tensor], np.ndarray]
    ) -> Iterator[tuple[Operator, Tensor, np.ndarray]]:
        """value: the quantized model's values of a tensor. Yields each watched operator, each of
        its outputs, and what float would have made of the same inputs.
        """
        fed = []
        for tensor, source in zip(self.shadow.graph.main.inputs, self.shadow.feeds, strict=True):
            wanted = NUMPY_TYPES[tensor.dtype]
            array = value(source)
            shape = array.shape if len(array.shape) == len(tensor.shape) else tensor.shape
            if array.dtype != wanted:
                array = as_real(array, source.quant).astype(wanted)
            fed.append(np.ascontiguousarray(array).reshape(shape))
        self.runner.run(fed)
        for watched in self.shadow.watched:
            for tensor, place in watched.outputs:
                yield watched.operator, tensor, self.runner.output(place)


def conversions(tested: Graph) -> list[Operator]:
    """The QUANTIZE and DEQUANTIZE of activations: in float they hand on their inputs."""
    return [op for op in tested.main.operators if is_conversion(op)]
