"""Running parts of a model: one operator alone, or the whole in steps with every sample's
activations kept in between.
"""

from collections.abc import Sequence

import numpy as np

from int8x.data import Sample
from int8x.runtime.coding import as_input
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph
from int8x.tflite.subgraph import Operator, Subgraph, Tensor

# Not XNNPACK, which is off by one here and there.
_STOCK = "BUILTIN_WITHOUT_DEFAULT_DELEGATES"


def on_trial(graph: Graph, origin: str) -> Runner:
    """A model, quantized or in part, that gives its outputs: in int8x's delegate, which is the
    reference's integers in a fraction of the time, and for the rest in stock kernels.
    """
    return Runner(graph.to_bytes(), origin, 1, _STOCK, keep_all=False, delegate=True)


class Piece:
    """Some operators of a subgraph as a model of their own. inputs, outputs: its interface."""

    def __init__(
        self, operators: Sequence[Operator], inputs: Sequence[Tensor], outputs: Sequence[Tensor]
    ):
        part = Subgraph("main", [], list(inputs), list(outputs), list(operators))
        part.compact()
        graph = Graph()
        graph.subgraphs = [part]
        names = ", ".join(op.name for op in operators[:3])
        self._runner = on_trial(graph, names)
        self._places = [part.tensors.index(t) for t in outputs]

    def run(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs for one sample's inputs."""
        self._runner.run(list(values))
        return [self._runner.value(place).copy() for place in self._places]


class Walk:
    """A model run step by step over all samples: before an operator runs, its inputs can be looked
    at and its constants changed, and what comes later sees the change. Memory: the activations that
    are alive at one place, for every sample.

    graph: quantized or float, without state or control flow (see can_walk); its operators are run
    as they are when walked over.
    """

    def __init__(self, graph: Graph, samples: Sequence[Sample]):
        self._main, self._position = graph.main, 0
        self._count = len(samples)
        self._values: dict[Tensor, list[np.ndarray]] = {
            tensor: [as_input(sample[i], tensor) for sample in samples]
            for i, tensor in enumerate(graph.main.inputs)
        }

    def until(self, op: Operator) -> None:
        """Runs all operators before `op` that have not run yet."""
        self._advance(self._main.operators.index(op))

    def finish(self) -> None:
        """Runs the rest."""
        self._advance(len(self._main.operators))

    def value(self, tensor: Tensor) -> list[np.ndarray]:
        """A live activation, for each sample."""
        return self._values[tensor]

    def _advance(self, end: int) -> None:
        operators = self._main.operators
        run, self._position = operators[self._position : end], max(end, self._position)
        later = {t for op in operators[self._position :] for t in op.inputs}
        later.update(self._main.outputs)
        if run:
            made = [t for op in run for t in op.outputs if t in later]
            read = dict.fromkeys(t for op in run for t in op.inputs if t in self._values)
            for tensor in made:
                self._values[tensor] = []
            if made:
                piece = Piece(run, list(read), made)
                for i in range(self._count):
                    results = piece.run([self._values[t][i] for t in read])
                    for tensor, array in zip(made, results, strict=True):
                        self._values[tensor].append(array)
        self._values = {t: arrays for t, arrays in self._values.items() if t in later}


def can_walk(graph: Graph) -> str | None:
    """Why a model cannot be run in pieces, or None when it can."""
    if len(graph.subgraphs) > 1:
        return "it has control flow"
    if any(tensor.is_variable for tensor in graph.main.tensors):
        return "it keeps state between runs"
    if any(op.kind in ("VAR_HANDLE", "READ_VARIABLE", "CUSTOM") for op in graph.main.operators):
        return "it has resources or custom operators"
    return None
