"""validate: a float model and its integer form side by side, tensor by tensor."""

import dataclasses
import json
import math
import os
from typing import Any

import numpy as np

from int8x import _native
from int8x.data import Samples, input_specs
from int8x.errors import DataError, ModelError
from int8x.graph import Graph, load
from int8x.interpreter import Runner
from int8x.passes import prepare
from int8x.progress import Progress, silent
from int8x.quant_params import QuantParams
from int8x.schema import NUMPY_TYPES
from int8x.subgraph import Tensor


@dataclasses.dataclass(frozen=True)
class TensorReport:
    """How close one integer tensor is to its float original, over all samples.

    sqnr_db: 10 log10(sum x^2 / sum (x - y)^2), inf when equal. max_error: max |x - y|. cosine: of x
    and y.
    saturated: share of the float values beyond the grid by more than half a step. steps: integers
    between the smallest and largest that occurred, of the type's 256. scale, zero_point: of the
    grid. operator: the kind that makes the tensor.
    """

    name: str
    operator: str
    sqnr_db: float
    max_error: float
    cosine: float
    saturated: float
    steps: int
    scale: float
    zero_point: int


@dataclasses.dataclass(frozen=True)
class Report:
    """tensors: in execution order, the model's outputs among them. outputs: names of the outputs.

    agreement: per output, the share of top-1 choices (arg max along the last axis) that are equal.
    float_accuracy, int8_accuracy: of the first output's choice against the labels, None without
    labels.
    """

    samples: int
    tensors: tuple[TensorReport, ...]
    outputs: tuple[str, ...]
    agreement: tuple[float, ...]
    float_accuracy: float | None = None
    int8_accuracy: float | None = None

    def tensor(self, name: str) -> TensorReport:
        """The tensor of that name. Raises KeyError."""
        found = next((t for t in self.tensors if t.name == name), None)
        if found is None:
            raise KeyError(f"no tensor {name!r} in the report")
        return found

    def to_json(self) -> str:
        """JSON text; an infinite SQNR (nothing differs) is null."""
        plain = dataclasses.asdict(self)
        for tensor in plain["tensors"]:
            tensor["sqnr_db"] = tensor["sqnr_db"] if math.isfinite(tensor["sqnr_db"]) else None
        return json.dumps(plain, indent=2) + "\n"

    def table(self) -> Any:
        """A rich Table of the tensors, the worst SQNR marked."""
        from rich.markup import escape
        from rich.table import Table

        shown = Table(title=f"{self.samples} samples", title_justify="left")
        shown.add_column("tensor", no_wrap=True, overflow="ellipsis", max_width=40)
        shown.add_column("operator", no_wrap=True)
        for column in ("SQNR dB", "max error", "cosine", "saturated", "steps"):
            shown.add_column(column, justify="right", no_wrap=True, min_width=len(column))
        worst = min((t.sqnr_db for t in self.tensors), default=math.inf)
        for t in self.tensors:
            style = (
                "bold red"
                if t.sqnr_db == worst and math.isfinite(worst)
                else "bold"
                if t.name in self.outputs
                else None
            )
            shown.add_row(
                escape(t.name.split(";")[0]),
                t.operator,
                f"{t.sqnr_db:.1f}",
                f"{t.max_error:.3g}",
                f"{t.cosine:.5f}",
                f"{t.saturated:.2%}",
                str(t.steps),
                style=style,
            )
        return shown


def validate(
    float_model: str | os.PathLike | bytes | Graph,
    int8_model: str | os.PathLike | bytes | Graph,
    data: Any,
    *,
    labels: Any = None,
    resolver: str = "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    progress: Progress = silent,
    num_threads: int = 1,
) -> Report:
    """Runs both models on the same samples and compares every tensor that both have.

    data: see int8x.data, in the float model's types. labels: integers, one per sample, to measure
    accuracy.
    resolver: the kernels that run the integer model, a name of OpResolverType ("BUILTIN_REF" is the
    reference, and slow). Tensors are matched by name, as int8x.quantize keeps them, outputs by
    position. Raises ModelError when the models' inputs or outputs do not correspond, DataError for
    bad data or labels.

    >>> print(int8x.validate("float.tflite", "model.int8.tflite", "samples.npy").agreement)
    """
    reference, tested = prepare(load(float_model)), load(int8_model)
    pairs = _pairs(reference, tested)
    runners = (
        Runner(reference.to_bytes(), reference.origin, num_threads),
        Runner(tested.to_bytes(), tested.origin, num_threads, resolver),
    )
    samples = Samples(data, input_specs(reference))
    count, agreed, choices = 0, [0.0] * len(reference.main.outputs), ([], [])  # type: ignore[var-annotated]
    outputs = [(pair.output, pair) for pair in pairs if pair.output is not None]
    with progress("validating", samples.len_hint(), 0) as advance:
        for sample in samples:
            runners[0].run(sample)
            runners[1].run(
                [
                    _coded(array, tensor)
                    for array, tensor in zip(sample, tested.main.inputs, strict=True)
                ]
            )
            for pair in pairs:
                pair.add(runners[0].value(pair.float_index), runners[1].value(pair.int8_index))
            for place, pair in outputs:
                agreed[place] += float(np.mean(pair.choices[0] == pair.choices[1]))
                if place == 0:
                    for side in (0, 1):
                        choices[side].append(pair.choices[side])
            count += 1
            advance()
    accuracy = _accuracy(labels, choices) if labels is not None else (None, None)
    return Report(
        count,
        tuple(pair.report() for pair in pairs),
        tuple(t.name for t in reference.main.outputs),
        tuple(share / count for share in agreed),
        *accuracy,
    )


class _Pair:
    """A float tensor, its integer form, and the sums that compare them."""

    def __init__(
        self,
        tensor: Tensor,
        operator: str,
        float_index: int,
        coded: Tensor,
        int8_index: int,
        output: int | None,
    ):
        self.tensor, self.operator, self.coded, self.output = tensor, operator, coded, output
        self.float_index, self.int8_index = float_index, int8_index
        self.signal = self.noise = self.product = self.power = self.max_error = 0.0
        self.count = self.clipped = 0
        self.lowest, self.highest = math.inf, -math.inf
        self.choices: tuple[np.ndarray, np.ndarray] = (np.zeros(0), np.zeros(0))

    def add(self, real: np.ndarray, coded: np.ndarray) -> None:
        if real.size != coded.size:
            raise ModelError(
                f"tensor {self.tensor.name!r} has shape {real.shape} in the float model, "
                f"{coded.shape} in the other"
            )
        x = real.astype(np.float64).reshape(-1)
        y = _real(coded, self.coded.quant).reshape(-1)
        self.signal += float(x @ x)
        self.power += float(y @ y)
        self.product += float(x @ y)
        error = np.abs(x - y)
        self.noise += float(error @ error)
        self.max_error = max(self.max_error, float(error.max(initial=0)))
        self.count += x.size
        if self.coded.quant is not None and coded.dtype.kind in "iu" and x.size:
            quant, info = self.coded.quant, np.iinfo(coded.dtype)
            steps = x / quant.scale + quant.zero_point
            self.clipped += int(
                np.count_nonzero((steps < info.min - 0.5) | (steps > info.max + 0.5))
            )
            self.lowest, self.highest = (
                min(self.lowest, int(coded.min())),
                max(self.highest, int(coded.max())),
            )
        if self.output is not None:
            wide = real.ndim > 0 and real.shape[-1] > 0
            self.choices = (
                (
                    real.argmax(axis=-1).reshape(-1),
                    coded.reshape(real.shape).argmax(axis=-1).reshape(-1),
                )
                if wide
                else (x, y)
            )

    def report(self) -> TensorReport:
        sqnr = (
            math.inf
            if self.noise == 0
            else 10 * math.log10(self.signal / self.noise)
            if self.signal
            else -math.inf
        )
        norm = math.sqrt(self.signal * self.power)
        quant = self.coded.quant
        return TensorReport(
            self.tensor.name,
            self.operator,
            sqnr_db=sqnr,
            max_error=self.max_error,
            cosine=self.product / norm if norm else 1.0,
            saturated=self.clipped / max(self.count, 1),
            steps=int(self.highest - self.lowest + 1) if math.isfinite(self.lowest) else 0,
            scale=quant.scale if quant is not None else 0.0,
            zero_point=quant.zero_point if quant is not None else 0,
        )


def _pairs(reference: Graph, tested: Graph) -> list[_Pair]:
    """The tensors to compare, in execution order."""
    for side in ("inputs", "outputs"):
        counts = [len(getattr(graph.main, side)) for graph in (reference, tested)]
        if counts[0] != counts[1]:
            raise ModelError(
                f"{tested.origin}: it has {counts[1]} {side}, the float model {counts[0]}"
            )
    by_name = {tensor.name: tensor for tensor in tested.main.tensors}
    places = {tensor: index for index, tensor in enumerate(tested.main.tensors)}
    kinds = {tensor: op.kind for op in reference.main.operators for tensor in op.outputs}
    indices = {tensor: index for index, tensor in enumerate(reference.main.tensors)}
    read = {t for op in reference.main.operators for t in op.inputs} | set(reference.main.outputs)
    pairs = []
    for tensor in dict.fromkeys([*reference.main.inputs, *kinds]):
        if tensor not in read:
            continue
        outputs = [i for i, output in enumerate(reference.main.outputs) if output is tensor]
        named = [by_name.get(tensor.name), by_name.get(f"{tensor.name}/int8")]
        found = [
            t
            for t in named
            if t is not None and t.quant is not None and t.quant.axis is None and tensor.is_float
        ]
        coded = tested.main.outputs[outputs[0]] if outputs else found[0] if found else None
        if coded is not None and (coded.size == tensor.size or outputs):
            pairs.append(
                _Pair(
                    tensor,
                    kinds.get(tensor, "input"),
                    indices[tensor],
                    coded,
                    places[coded],
                    outputs[0] if outputs else None,
                )
            )
    return pairs


def _real(coded: np.ndarray, quant: QuantParams | None) -> np.ndarray:
    """Integers as the reals they stand for, in double; floats as they are."""
    if quant is None or coded.dtype.kind not in "iu":
        return coded.astype(np.float64)
    return (coded.astype(np.float64) - quant.zero_point) * quant.scale


def _coded(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    """A float sample in the type of the integer model's input."""
    wanted: np.dtype[Any] = np.dtype(NUMPY_TYPES.get(tensor.dtype, np.void))
    if array.dtype == wanted:
        return array
    if tensor.quant is None or tensor.quant.axis is not None or wanted.kind not in "iu":
        raise ModelError(
            f"input {tensor.name!r} is {tensor.dtype} without a scale; the float model takes "
            f"{array.dtype}"
        )
    low, high = np.iinfo(wanted).min, np.iinfo(wanted).max
    grid = tensor.quant
    return _native.quantize(array, grid.scale, grid.zero_point, low, high).astype(wanted)


def _accuracy(
    labels: Any, choices: tuple[list[np.ndarray], list[np.ndarray]]
) -> tuple[float, float]:
    wanted = np.asarray(labels).reshape(-1)
    if wanted.dtype.kind not in "iu":
        raise DataError(f"labels must be integers, got {wanted.dtype}")
    if len(wanted) != len(choices[0]):
        raise DataError(f"labels must be one per sample ({len(choices[0])}), got {len(wanted)}")
    if any(len(choice) != 1 for choice in choices[0]):
        raise DataError("labels need a model whose first output is one choice per sample")
    float_share, int8_share = (float(np.mean(np.concatenate(side) == wanted)) for side in choices)
    return float_share, int8_share


def load_labels(path: str | os.PathLike) -> np.ndarray:
    """Labels from a .npy file; pickles are refused."""
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:  # numpy raises whatever tokenizer or header parser raised
        raise DataError(f"{path}: not a plain numpy file of labels ({error})") from None
