"""How far a quantized model's outputs are from the float model's on some samples."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from int8x.data import Sample
from int8x.methods.coding import as_input, as_real
from int8x.methods.pieces import RESOLVER
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph


@dataclasses.dataclass(frozen=True)
class Score:
    """noise: per output, sum (x - y)^2 / sum x^2 over the samples. accuracy: share of right answers
    of the first output, None without labels.
    """

    noise: tuple[float, ...]
    accuracy: float | None = None

    @property
    def sqnr_db(self) -> float:
        """The SQNR of the worst output."""
        worst = max(self.noise, default=0.0)
        return -10 * math.log10(worst) if worst > 0 else math.inf


class Reference:
    """The float model's outputs on samples, kept, and quantized models compared with them.

    labels: one integer per sample, for accuracy.
    """

    def __init__(self, graph: Graph, samples: Sequence[Sample], labels: np.ndarray | None = None):
        runner = Runner(graph.to_bytes(), graph.origin, 1)
        places = _places(graph)
        self.samples, self.labels = samples, labels
        self.outputs: list[list[np.ndarray]] = []
        for sample in samples:
            runner.run(sample)
            self.outputs.append([runner.value(place).copy() for place in places])
        self._signal = [
            sum(float(np.vdot(x, x)) for x in map(_double, side))
            for side in zip(*self.outputs, strict=True)
        ]

    def accuracy(self) -> float | None:
        """The float model's own."""
        return self._accuracy([outputs[0] for outputs in self.outputs])

    def score(self, quantized: Graph) -> Score:
        """Runs the quantized model over the samples."""
        runner = Runner(quantized.to_bytes(), quantized.origin, 1, RESOLVER)
        main, places = quantized.main, _places(quantized)
        noise, first = [0.0] * len(places), []
        for sample, wanted in zip(self.samples, self.outputs, strict=True):
            runner.run([as_input(x, t) for x, t in zip(sample, main.inputs, strict=True)])
            for i, (place, tensor) in enumerate(zip(places, main.outputs, strict=True)):
                came = _double(as_real(runner.value(place), tensor.quant))
                error = came.reshape(-1) - _double(wanted[i]).reshape(-1)
                noise[i] += float(error @ error)
                if i == 0 and self.labels is not None:
                    first.append(came)
        relative = [n / s if s > 0 else n for n, s in zip(noise, self._signal, strict=True)]
        return Score(tuple(relative), self._accuracy(first))

    def _accuracy(self, outputs: list[np.ndarray]) -> float | None:
        if self.labels is None:
            return None
        right = [
            bool(np.argmax(x.reshape(-1)) == label)
            for x, label in zip(outputs, self.labels, strict=True)
        ]
        return sum(right) / max(len(right), 1)


def _places(graph: Graph) -> list[int]:
    index = {tensor: i for i, tensor in enumerate(graph.main.tensors)}
    return [index[tensor] for tensor in graph.main.outputs]


def _double(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64)
