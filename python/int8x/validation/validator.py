"""validate: a float model and its integer form side by side, tensor by tensor and operator by
operator.
"""

import os
from typing import Any

import numpy as np

from int8x.calibration.gathering import keeps_state
from int8x.data import Samples, input_specs
from int8x.errors import DataError
from int8x.progress import Progress, silent
from int8x.quantization.attention_masks import MASKED, before_softmax
from int8x.runtime.coding import as_inputs, as_real
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph, load
from int8x.tflite.schema import NUMPY_TYPES
from int8x.tflite.subgraph import Operator, Tensor
from int8x.validation.comparison import Sums, check_sizes
from int8x.validation.counterpart import find_counterpart, recipe_beside
from int8x.validation.effects import Effects
from int8x.validation.pairing import Pairing
from int8x.validation.report import OperatorReport, Report, TensorReport
from int8x.validation.shadow import Shadow, ShadowRun, cast, conversions

__all__ = ["OperatorReport", "Report", "TensorReport", "load_labels", "validate"]


def validate(
    float_model: str | os.PathLike | bytes | Graph,
    int8_model: str | os.PathLike | bytes | Graph,
    data: Any,
    *,
    labels: Any = None,
    recipe: Any = None,
    resolver: str = "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    progress: Progress = silent,
    num_threads: int = 1,
) -> Report:
    """Runs both models on the same samples and compares every tensor and every operator.

    A tensor's figures are the error of all operators so far: float model against quantized model.
    An operator's are its own error: the float operator is fed with the dequantized values of the
    inputs that the quantized one read.

    data: see int8x.data, in the float model's types. labels: integers, one per sample, to measure
    accuracy. recipe: the one the model was quantized with, which says how the float model was
    prepared; without it, the one that the graph remembers or that lies beside the file, when it
    fits. resolver: the kernels that run the integer model, a name of OpResolverType ("BUILTIN_REF"
    is the reference, and slow). Tensors are matched by name, else by structure, outputs by
    position; `notes` of the report says what was not. Raises ModelError when the models' inputs or
    outputs do not correspond or the float model is quantized already, DataError for bad data or
    labels.

    >>> report = int8x.validate("float.tflite", "model.int8.tflite", "samples.npy")
    >>> print(report.agreement, report.verdict)
    """
    tested = load(int8_model)
    reference, pairing, notes = find_counterpart(
        float_model, tested, recipe, recipe_beside(int8_model)
    )
    tensors = _tensor_rows(reference, tested, pairing)
    shadow = cast(reference, tested, pairing)
    shadow_run = None if shadow is None else ShadowRun(shadow, num_threads)
    own = {} if shadow is None else {w.operator: w.covers for w in shadow.watched}
    operators = _OperatorRows(tested, own)
    stateful = keeps_state(reference)  # the runs on trial would change what the next one sees
    stands_for = _places(reference, tested, shadow)
    effects = Effects(reference, {} if stateful else stands_for, num_threads)
    runners = (
        Runner(reference.to_bytes(), reference.origin, num_threads),
        Runner(tested.to_bytes(), tested.origin, num_threads, resolver),
    )
    places = {tensor: index for index, tensor in enumerate(tested.main.tensors)}
    path = before_softmax(reference.main)
    masked = {t: index for index, t in enumerate(reference.main.tensors) if t in path}

    def value(tensor: Tensor) -> np.ndarray:
        return runners[1].value(places[tensor])

    def real(tensor: Tensor) -> np.ndarray:
        return as_real(value(tensor), tensor.quant)

    def unmasked(tensor: Tensor | None, wanted: np.ndarray) -> np.ndarray:
        """What stands for `tensor`, NaN (not compared) where that holds masked values."""
        if tensor not in masked:
            return wanted
        logits = np.abs(runners[0].value(masked[tensor])) < -MASKED
        return np.where(logits.reshape(wanted.shape), wanted, np.float32(np.nan))

    samples = Samples(data, input_specs(reference))
    outputs = [row for row in tensors if row.outputs]
    count, agreed, choices = 0, [0.0] * len(reference.main.outputs), ([], [])  # type: ignore[var-annotated]
    with progress("validating", samples.len_hint(), 0) as advance:
        for sample in samples:
            runners[0].run(sample)
            runners[1].run(as_inputs(sample, tested.main.inputs))
            for row in tensors:
                row.add(unmasked(row.tensor, runners[0].value(row.index)), value(row.coded))
            for op in operators.conversions:
                wanted = as_real(value(op.inputs[0]), op.inputs[0].quant)
                operators.add(op, wanted, value(op.outputs[0]))
                effects.note(op, op.outputs[0], wanted, real(op.outputs[0]))
            if shadow_run is not None:
                for op, tensor, result in shadow_run.run(value):
                    wanted = unmasked(stands_for.get((op, tensor)), result)
                    operators.add(op, wanted, value(tensor))
                    effects.note(op, tensor, wanted, real(tensor))
            effects.run(sample)
            for row in outputs:
                for place in row.outputs:
                    agreed[place] += float(np.mean(row.choices[0] == row.choices[1]))
                if 0 in row.outputs:
                    for side in (0, 1):
                        choices[side].append(row.choices[side])
            count += 1
            advance()
    accuracy = _accuracy(labels, choices) if labels is not None else (None, None)
    return Report(
        samples=count,
        tensors=tuple(row.report() for row in tensors),
        outputs=tuple(t.name for t in reference.main.outputs),
        agreement=tuple(share / count for share in agreed),
        float_accuracy=accuracy[0],
        int8_accuracy=accuracy[1],
        operators=operators.report(effects),
        notes=(*notes, effects.failure) if effects.failure else notes,
    )


def load_labels(path: str | os.PathLike) -> np.ndarray:
    """Labels from a .npy file; pickles are refused."""
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except Exception as error:  # numpy raises whatever tokenizer or header parser raised
        raise DataError(f"{path}: not a plain numpy file of labels ({error})") from None


def _places(
    reference: Graph, tested: Graph, shadow: Shadow | None
) -> dict[tuple[Operator, Tensor], Tensor]:
    """The float activation that each watched result of the quantized model stands for."""
    own = dict(zip(tested.main.inputs, reference.main.inputs, strict=True))
    found = {
        (op, op.outputs[0]): own[op.inputs[0]] for op in conversions(tested) if op.inputs[0] in own
    }
    if shadow is None:
        return found
    outputs = shadow.graph.main.outputs
    for watched in shadow.watched:
        for tensor, place in watched.outputs:
            found[watched.operator, tensor] = outputs[place]
    return found


class _TensorRow:
    """A float tensor, its form in the quantized model, and the sums that compare them. outputs: the
    places that it has among the model's outputs.
    """

    def __init__(self, tensor: Tensor, kind: str, index: int, coded: Tensor, outputs: list[int]):
        self.tensor, self.kind, self.index, self.coded = tensor, kind, index, coded
        self.outputs, self.sums = outputs, Sums(coded.quant)
        self.choices: tuple[np.ndarray, np.ndarray] = (np.zeros(0), np.zeros(0))

    def add(self, real: np.ndarray, coded: np.ndarray) -> None:
        check_sizes(self.tensor, real, coded)
        self.sums.add(real, coded)
        if not self.outputs:
            return
        if real.ndim > 0 and real.shape[-1] > 0:
            coded = coded.reshape(real.shape)
            self.choices = real.argmax(axis=-1).reshape(-1), coded.argmax(axis=-1).reshape(-1)
        else:
            self.choices = real.reshape(-1), as_real(coded, self.coded.quant).reshape(-1)

    def report(self) -> TensorReport:
        quant = self.coded.quant
        return TensorReport(
            name=self.tensor.name,
            operator=self.kind,
            scale=quant.scale if quant is not None else 0.0,
            zero_point=quant.zero_point if quant is not None else 0,
            **self.sums.figures(),
        )


def _tensor_rows(reference: Graph, tested: Graph, pairing: Pairing) -> list[_TensorRow]:
    """The tensors to compare, in execution order: what somebody reads, in the form that the
    quantized operators read.
    """
    main, links = reference.main, tested.main.links()
    kinds = {tensor: op.kind for op in main.operators for tensor in op.outputs}
    indices = {tensor: index for index, tensor in enumerate(main.tensors)}
    read = {t for op in main.operators for t in op.inputs} | set(main.outputs)
    rows = []
    for tensor in dict.fromkeys([*main.inputs, *kinds]):
        places = [i for i, output in enumerate(main.outputs) if output is tensor]
        if places:
            coded = tested.main.outputs[places[0]]
        elif tensor in read and tensor.is_float and tensor in pairing.tensors:
            home = pairing.tensors[tensor]
            forms = [op.outputs[0] for op in links.consumers(home) if op.kind == "QUANTIZE"]
            coded = forms[0] if forms and home.dtype in ("FLOAT32", "UINT8") else home
        else:
            continue
        if coded.dtype in NUMPY_TYPES and (coded.quant is None or coded.quant.axis is None):
            kind = kinds.get(tensor, "input")
            rows.append(_TensorRow(tensor, kind, indices[tensor], coded, places))
    return rows


class _OperatorRows:
    """The sums of each operator's own error. covers: of those that the shadow watches."""

    def __init__(self, tested: Graph, covers: dict[Operator, int]) -> None:
        self.conversions = conversions(tested)
        self.covers = {**covers, **dict.fromkeys(self.conversions, 1)}
        self.places = {op: index for index, op in enumerate(tested.main.operators)}
        self.sums = {op: Sums(op.outputs[0].quant) for op in self.covers}

    def add(self, op: Operator, wanted: np.ndarray, came: np.ndarray) -> None:
        check_sizes(op.outputs[0], wanted, came)
        self.sums[op].add(wanted, came)

    def report(self, effects: Effects) -> tuple[OperatorReport, ...]:
        return tuple(
            OperatorReport(
                index=self.places[op],
                kind=op.kind,
                name=op.name,
                covers=self.covers[op],
                effect_db=effects.sqnr_db(op),
                **self.sums[op].figures(),
            )
            for op in sorted(self.covers, key=self.places.__getitem__)
        )


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
