"""The columns: what each makes of the same float checkpoint, as a .tflite."""

import functools
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from quality.case import Case, accuracy
from quality.environments import environment
from quality.peers import tensorflow
from training import emotions, ordered
from training.fit import fit, images
from training.sources import PACKAGE, fingerprint, imported
from training.start import Start

CALIBRATION_SAMPLES = 500
PRUNING_RATE = 2e-3  # at RATE what stays cannot take over from what goes
PRUNING_RAMP = 0.25  # of the steps: what is left needs time to learn
LONG = 3  # times the epochs of the others
HERE = Path(__file__).parent
_TRAINING = frozenset(HERE / name for name in ("nets.py", "fit.py", "start.py"))
_ORDERED = frozenset({HERE / "ordered.py"})
_TF_KERAS = _TRAINING | {HERE / "run_tfmot.py"}
_QUANTIZER = _TRAINING | imported("int8x.exporter")
_QAT = _QUANTIZER | imported("int8x.keras.qat_callback")
_PRUNING = _QAT | imported("int8x.keras.pruning_callback")
_FILTERS = _PRUNING | imported("int8x.keras.removal")


def _float(start: Start) -> bytes:
    from int8x.keras.conversion import to_bytes

    return to_bytes(start.float_model())


def _case(start: Start) -> Case:
    """The float column's model, for those that quantize after training."""
    from int8x.keras.conversion import to_bytes

    model = start.float_model()
    x, _, x_test, y_test = images()
    samples = x[:CALIBRATION_SAMPLES]
    return Case(start.net, to_bytes(model), samples, x_test, accuracy(y_test), keras=model)


def _ptq_tensorflow(start: Start) -> bytes:
    return tensorflow(_case(start))


def _ptq_int8x(start: Start) -> bytes:
    import int8x

    case = _case(start)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "float.tflite"
        source.write_bytes(case.model)
        return int8x.quantize(source, data=case.calibration).to_bytes()


def _tf_keras(start: Start, kind: str, order: tuple[str, ...] = ()) -> bytes:
    """In the pinned environment `tfmot`, on the same architecture and weights in tf_keras; kind:
    "float", or "qat", which is TFMOT's. order: of the batches, its own or ("ordered",).
    """
    with tempfile.TemporaryDirectory() as folder:
        weights, output = Path(folder) / "weights.npz", Path(folder) / "out.tflite"
        np.savez(weights, *start.model().get_weights())
        arguments = (start.net, str(start.seed), str(start.epochs), str(weights), str(output))
        run_tfmot(kind, *arguments, *order)
        return output.read_bytes()


def run_tfmot(*arguments: str, script: str = "run_tfmot.py") -> str:
    """What a script prints in the environment `tfmot`; RuntimeError with its last words."""
    python = environment("tfmot") / "bin" / "python"
    path = os.pathsep.join([str(PACKAGE), str(HERE.parent)])
    command = [str(python), str(HERE / script), *arguments]
    run = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    if run.returncode:
        raise RuntimeError(run.stderr.strip().splitlines()[-1])
    return run.stdout


def _trained(start: Start, **settings: Any) -> bytes:
    """QAT, exported."""
    import int8x

    model = start.model()
    start.fit(model, int8x.QATCallback(**settings))
    return _exported(model)


def _ordered(start: Start, quantized: bool) -> bytes:
    """The float column, or QAT, with the batches that tf_keras then sees too."""
    import int8x
    import keras
    from int8x.keras.conversion import to_bytes

    model = start.model()
    callbacks = (int8x.QATCallback(),) if quantized else ()
    ordered.fit(keras, model, start.seed, start.epochs, callbacks)
    return _exported(model) if quantized else to_bytes(model)


def _float_again(start: Start, rate: float, length: int) -> bytes:
    """The float column as long and at the rate of the pruned ones: what they are held against."""
    import keras
    from int8x.keras.conversion import to_bytes

    model = start.model()
    fit(keras, model, start.seed, length * start.epochs, rate)
    return to_bytes(model)


def _float_evened(start: Start) -> bytes:
    """The float column of the net whose channels are evened out first, as QAT does: there the same
    learning rate moves channels otherwise.
    """
    from int8x.keras.conversion import to_bytes
    from int8x.keras.handle import equalize_model

    model = start.model()
    equalize_model(model)
    start.fit(model)
    return to_bytes(model)


def _sparse(start: Start, rate: float, length: int, **pruning: Any) -> bytes:
    """Pruning and QAT in one fit, at a rate that lets what stays take over from what goes."""
    import int8x
    import keras

    model = start.model()
    callbacks = (int8x.PruningCallback(**pruning), int8x.QATCallback())
    fit(keras, model, start.seed, length * start.epochs, rate, callbacks)
    return _exported(model)


def _filters(start: Start, rate: float, length: int, **pruning: Any) -> bytes:
    """Half of the epochs prune, the smaller net is trained quantization-aware in the other half."""
    import int8x
    import keras

    model, epochs = start.model(), length * start.epochs
    callbacks = (int8x.PruningCallback(pattern="filters", **pruning),)
    fit(keras, model, start.seed, epochs, rate, callbacks, part=(0, 2))
    small = int8x.keras.shrink(int8x.keras.strip(model))
    fit(keras, small, start.seed, epochs, rate, (int8x.QATCallback(),), part=(1, 2))
    return _exported(small)


def _exported(model: Any) -> bytes:
    import int8x

    with tempfile.TemporaryDirectory() as folder:
        return int8x.export(model, Path(folder) / "model.tflite").to_bytes()


@dataclass(frozen=True)
class Column:
    """A column of the table: its .tflite, the files whose change makes its results old, and the
    column that trains in float exactly as it does.
    """

    title: str
    make: Callable[[Start], bytes]
    sources: frozenset[Path]
    against: str = "float"

    def fingerprint(self, net: str) -> str:
        """One for the code that makes its results for a net."""
        more = {HERE / "emotions.py"} if net == emotions.NET else set()
        return fingerprint(self.make, self.sources | more)


def _of_tf_keras(title: str, kind: str) -> Column:
    return Column(title, functools.partial(_tf_keras, kind=kind), _TF_KERAS)


def _qat(title: str, **settings: Any) -> Column:
    return Column(title, functools.partial(_trained, **settings), _QAT)


def _pruned(
    title: str, make: Callable[..., bytes] = _sparse, length: int = 1, **pruning: Any
) -> Column:
    pruning["ramp"] = PRUNING_RAMP
    made = functools.partial(make, rate=PRUNING_RATE, length=length, **pruning)
    sources = _FILTERS if make is _filters else _PRUNING
    return Column(title, made, sources, "float_again" if length == 1 else "float_long")


def _at_pruning_rate(title: str, length: int = 1) -> Column:
    made = functools.partial(_float_again, rate=PRUNING_RATE, length=length)
    return Column(title, made, _TRAINING, "")


COLUMNS = {
    "float": Column("float", _float, _TRAINING, ""),
    "float_tf_keras": _of_tf_keras("float, in tf_keras", "float"),
    "float_evened": Column("float, channels evened out first", _float_evened, _QAT),
    "ptq_tensorflow": Column("PTQ, TFLiteConverter", _ptq_tensorflow, _TRAINING),
    "ptq_int8x": Column("PTQ, int8x", _ptq_int8x, _QUANTIZER),
    "qat_tfmot": _of_tf_keras("QAT, TFMOT", "qat"),
    "qat_average": _qat("QAT, int8x average", ranges="average"),
    "float_ordered": Column(
        "float, shared batches",
        functools.partial(_ordered, quantized=False),
        _TRAINING | _ORDERED,
        "",
    ),
    "float_tf_keras_ordered": Column(
        "float in tf_keras, shared batches",
        functools.partial(_tf_keras, kind="float", order=("ordered",)),
        _TF_KERAS | _ORDERED,
        "float_ordered",
    ),
    "qat_tfmot_ordered": Column(
        "QAT, TFMOT, shared batches",
        functools.partial(_tf_keras, kind="qat", order=("ordered",)),
        _TF_KERAS | _ORDERED,
        "float_ordered",
    ),
    "qat_average_ordered": Column(
        "QAT, int8x average, shared batches",
        functools.partial(_ordered, quantized=True),
        _QAT | _ORDERED,
        "float_ordered",
    ),
    "qat_lsq": _qat("QAT, int8x lsq", ranges="lsq"),
    "int4_average": _qat("INT4 + QAT average", weight_bits=4),
    "int4_lsq": _qat("INT4 + QAT lsq", weight_bits=4, ranges="lsq"),
    "float_again": _at_pruning_rate(f"float, rate {PRUNING_RATE:g}"),
    "block_50": _pruned("1x4 50 % + QAT", sparsity=0.5, block=(1, 4), scope="global"),
    "block_75": _pruned("1x4 75 % + QAT", sparsity=0.75, block=(1, 4), scope="global"),
    "block_87": _pruned("1x4 87.5 % + QAT", sparsity=0.875, block=(1, 4), scope="global"),
    "two_of_four": _pruned("2:4 + QAT", pattern="2:4"),
    "filters_50": _pruned("filters 50 % + QAT", _filters, sparsity=0.5),
    "float_long": _at_pruning_rate(f"float, rate {PRUNING_RATE:g}, {LONG} times as long", LONG),
    "block_75_long": _pruned(
        f"1x4 75 % + QAT, {LONG} times as long",
        length=LONG,
        sparsity=0.75,
        block=(1, 4),
        scope="global",
    ),
}

PAIRS = {
    "QAT, int8x average - TFMOT": ("qat_average", "qat_tfmot"),
    "float, in tf_keras - float": ("float_tf_keras", "float"),
    "QAT, TFMOT - float, in tf_keras": ("qat_tfmot", "float_tf_keras"),
    "shared batches: QAT, int8x average - TFMOT": ("qat_average_ordered", "qat_tfmot_ordered"),
    "shared batches: float, in tf_keras - float": ("float_tf_keras_ordered", "float_ordered"),
    "QAT, int8x average: shared batches - fit's own": ("qat_average_ordered", "qat_average"),
    "QAT, TFMOT: shared batches - fit's own": ("qat_tfmot_ordered", "qat_tfmot"),
}
