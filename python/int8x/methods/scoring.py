"""How far a quantized model's outputs are from the float model's on some samples."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from int8x.data import Sample
from int8x.methods.pieces import on_trial
from int8x.runtime.coding import as_inputs, as_real
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph
from int8x.tflite.subgraph import Links, Tensor

_PASSING = ("QUANTIZE", "DEQUANTIZE", "RESHAPE")


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

    labels: one integer per sample, for accuracy. logits: of an output that SOFTMAX makes, what
    that operator reads is compared, less its mean over the classes, which SOFTMAX does not see:
    there, unlikely classes count too. judged: "output", or "logit" where any output is such a one.
    """

    def __init__(
        self,
        graph: Graph,
        samples: Sequence[Sample],
        labels: np.ndarray | None = None,
        logits: bool = False,
    ):
        self._logits = logits
        judging = self._judging(graph)
        pairs = zip(judging.main.outputs, graph.main.outputs, strict=True)
        self._centred = [judged.name != output.name for judged, output in pairs]
        self.judged = "logit" if any(self._centred) else "output"
        self.samples, self.labels = samples, labels
        runner = Runner(judging.to_bytes(), graph.origin, 1, keep_all=False)
        self.outputs: list[list[np.ndarray]] = []
        for sample in samples:
            runner.run(sample)
            self.outputs.append([runner.output(i) for i in range(len(self._centred))])
        self._signal = [
            sum(float(np.vdot(x, x)) for x in (_compared(y, centred) for y in side))
            for side, centred in zip(zip(*self.outputs, strict=True), self._centred, strict=True)
        ]

    def accuracy(self) -> float | None:
        """The float model's own."""
        return self._accuracy([outputs[0] for outputs in self.outputs])

    def score(self, quantized: Graph) -> Score:
        """Runs the quantized model over the samples."""
        judging = self._judging(quantized)
        runner, main = on_trial(judging, quantized.origin), judging.main
        noise, first = [0.0] * len(main.outputs), []
        for sample, wanted in zip(self.samples, self.outputs, strict=True):
            runner.run(as_inputs(sample, main.inputs))
            for i, tensor in enumerate(main.outputs):
                came = as_real(runner.output(i), tensor.quant).astype(np.float64)
                centred = self._centred[i]
                error = _compared(came, centred) - _compared(wanted[i], centred)
                noise[i] += float(error @ error)
                if i == 0 and self.labels is not None:
                    first.append(came)
        relative = [n / s if s > 0 else n for n, s in zip(noise, self._signal, strict=True)]
        return Score(tuple(relative), self._accuracy(first))

    def _judging(self, graph: Graph) -> Graph:
        """A graph whose outputs are those that are compared."""
        judging = graph.copy()
        if self._logits:
            links = judging.main.links()
            judging.main.outputs = [_logit(t, links) for t in judging.main.outputs]
            judging.signatures = []
        return judging

    def _accuracy(self, outputs: list[np.ndarray]) -> float | None:
        if self.labels is None:
            return None
        right = [
            bool(np.argmax(x.reshape(-1)) == label)
            for x, label in zip(outputs, self.labels, strict=True)
        ]
        return sum(right) / max(len(right), 1)


def _logit(output: Tensor, links: Links) -> Tensor:
    """What the SOFTMAX reads that makes an output; without one, the output."""
    tensor = output
    while (op := links.producer(tensor)) is not None:
        source = op.input(0)
        if source is None or source.is_constant or op.kind not in ("SOFTMAX", *_PASSING):
            break
        if op.kind == "SOFTMAX":
            return source
        tensor = source
    return output


def _compared(array: np.ndarray, centred: bool) -> np.ndarray:
    """Flat, in double; centred: less the mean over the last axis."""
    double = array.astype(np.float64)
    return (double - double.mean(axis=-1, keepdims=True) if centred else double).reshape(-1)
