"""What an operator's own error does to the model's outputs: the float model is run with that error
added where it arises, and nothing else changed.
"""

import math
from collections.abc import Mapping

import numpy as np

from int8x.errors import ModelError
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph
from int8x.tflite.subgraph import Operator, Tensor
from int8x.validation.comparison import LARGEST_COMPARED

# One sample decides little; each more costs a float run for every operator that errs.
_SAMPLES = 2
# A sure choice hides every error: what these read at a model's end is compared too.
_SQUASHING = ("SOFTMAX", "LOG_SOFTMAX", "LOGISTIC")
_WITH_ERROR = "/with error"

Places = Mapping[tuple[Operator, Tensor], Tensor]


class Effects:
    """The float model with an input for the error of each of `places`, and the sums of what came
    out of it for the first samples.

    places: for each operator of the quantized model and result of it, the activation of
    `reference`, the prepared float graph, that the result stands for; without any, nothing is
    measured. failure: why nothing could be measured, if so. Raises ModelError when the runtime
    refuses to load the model.
    """

    def __init__(self, reference: Graph, places: Places, num_threads: int = 1) -> None:
        graph = reference.copy()
        main, index = graph.main, {t: i for i, t in enumerate(reference.main.tensors)}
        graph.signatures = []
        self._places = {k: t for k, t in places.items() if t in index and t.dtype == "FLOAT32"}
        self._tensors = list(dict.fromkeys(self._places.values()))
        for tensor in [main.tensors[index[t]] for t in self._tensors]:
            _add_error(graph, tensor)
        makers = main.links().producers  # behind the errors that were added
        for output in list(main.outputs):
            maker = makers.get(output)
            while maker is not None and maker.kind == "ADD" and output.name.endswith(_WITH_ERROR):
                output = maker.inputs[0]
                maker = makers.get(output)
            if maker is not None and maker.kind in _SQUASHING:
                main.outputs.append(maker.inputs[0])
        self._runner = Runner(graph.to_bytes(), reference.origin, num_threads, keep_all=False)
        self._outputs = [i for i, t in enumerate(main.outputs) if t.dtype == "FLOAT32"]
        self._signal = np.zeros(len(self._outputs))
        self._noise: dict[Operator, np.ndarray] = {}
        self._errors: dict[Operator, dict[Tensor, np.ndarray]] = {}
        self.failure = ""
        self._left = _SAMPLES if self._places and self._outputs else 0

    def note(self, op: Operator, tensor: Tensor, wanted: np.ndarray, came: np.ndarray) -> None:
        """What the operator should have made of the sample at hand, and what it made, as reals."""
        place = self._places.get((op, tensor))
        if self._left and place is not None:
            error = came.reshape(wanted.shape) - wanted
            error = np.where(np.abs(error) < LARGEST_COMPARED, error, 0.0).astype(np.float32)
            self._errors.setdefault(op, {})[place] = error

    def run(self, sample: list[np.ndarray]) -> None:
        """Ends a sample, in the float model's types."""
        errors, self._errors = self._errors, {}
        if not self._left or not errors:
            return
        self._left -= 1
        try:
            self._measure(sample, errors)
        except ModelError as error:  # the model runs, but not with sums between its operators
            self._left, self._noise = 0, {}
            self.failure = f"effects on the outputs were not measured: {error}"

    def _measure(
        self, sample: list[np.ndarray], errors: Mapping[Operator, Mapping[Tensor, np.ndarray]]
    ) -> None:
        shapes = {t: e.shape for each in errors.values() for t, e in each.items()}
        zeros = {t: np.zeros(shapes.get(t, t.shape), np.float32) for t in self._tensors}
        wanted = self._outputs_of(sample, zeros)
        self._signal += [float(np.sum(x * x)) for x in wanted]
        for op, each in errors.items():
            noise = np.zeros(len(wanted))
            if any(error.any() for error in each.values()):
                came = self._outputs_of(sample, {**zeros, **each})
                noise += [float(np.sum((y - x) ** 2)) for x, y in zip(wanted, came, strict=True)]
            self._noise[op] = self._noise.get(op, 0.0) + noise

    def sqnr_db(self, op: Operator) -> float | None:
        """SQNR of the worst output, or input of a last SOFTMAX, when `op` alone errs; None where
        that is not known.
        """
        noise = self._noise.get(op)
        if noise is None:
            return None
        told = self._signal > 0
        worst = float(np.max(noise[told] / self._signal[told], initial=0.0))
        return -10 * math.log10(worst) if worst > 0 else math.inf

    def _outputs_of(
        self, sample: list[np.ndarray], errors: Mapping[Tensor, np.ndarray]
    ) -> list[np.ndarray]:
        self._runner.run([*sample, *(errors[t] for t in self._tensors)])
        found = [self._runner.output(i).astype(np.float64) for i in self._outputs]
        return [np.where(np.abs(x) < LARGEST_COMPARED, x, 0.0) for x in found]


def _add_error(graph: Graph, tensor: Tensor) -> None:
    """All that read `tensor` read the sum of it and a new input instead."""
    main = graph.main
    producer = main.links().producer(tensor)
    error = main.add_tensor(f"{tensor.name}/error", tensor.shape, signature=tensor.signature)
    both = main.add_tensor(f"{tensor.name}{_WITH_ERROR}", tensor.shape, signature=tensor.signature)
    for op in main.operators:
        op.inputs = [both if t is tensor else t for t in op.inputs]
    main.outputs = [both if t is tensor else t for t in main.outputs]
    main.inputs.append(error)
    first = main.operators[0] if producer is None else None
    after = None if producer is None else main.operators.index(producer) + 1
    before = first if after is None else next(iter(main.operators[after:]), None)
    main.add_operator("ADD", [tensor, error], [both], options="AddOptions", before=before)
