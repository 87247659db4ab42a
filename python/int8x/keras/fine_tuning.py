"""Transfer learning in one call: a pretrained model, a new head, new data, an int8 file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from int8x.exporter import export
from int8x.keras import private
from int8x.keras.backbones import TransferSettings, parts
from int8x.keras.distillation import distill, ends_in_softmax
from int8x.keras.handle import handle_of
from int8x.keras.pretrained import load_pretrained
from int8x.keras.qat_callback import QATCallback
from int8x.keras.training_data import TrainingData, read_training_data
from int8x.keras.transfer_callback import TransferLearningCallback
from int8x.progress import Progress, silent
from int8x.tflite.graph import Graph


@dataclass(frozen=True)
class Transfer:
    """What a transfer gave: the trained model, its int8 graph and the path of that, and of both
    trainings ("head", "tuning") the history.
    """

    model: keras.Model
    graph: Graph
    path: Path
    history: dict[str, dict[str, list[float]]]


def transfer(
    base: Any,
    head: int | keras.Layer | Callable[[Any], Any],
    data: Any,
    path: str | os.PathLike,
    *,
    validation: Any = None,
    head_epochs: int = 5,
    epochs: int = 10,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    tuning_rate: float | None = None,
    loss: Any = None,
    metrics: Sequence[Any] = ("accuracy",),
    unfreeze: Any = TransferSettings.unfreeze,
    rates: Any = 0.1,
    decay: float = 1.0,
    freeze_bn: bool = True,
    teacher: keras.Model | None = None,
    qat: QATCallback | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    recipe: Any = "int8",
    progress: Progress = silent,
) -> Transfer:
    """Puts a new head on a pretrained model, trains the head, fine-tunes both quantization-aware
    with gradual unfreezing, and writes the full int8 .tflite.

    Args:
        base: a Keras 3 model without its old head (keras.applications with include_top=False), a
            tf_keras model, or the path of a .keras, .h5 or SavedModel (see docs/transfer.md). A
            model that is given is itself trained.
        head: a number of classes, for pooling and a Dense layer of logits; a layer or model; or a
            function from the base's output tensor to the model's.
        data: (x, y) arrays, or a tf.data.Dataset or keras PyDataset of batches of these, as the
            base wants them; y integers, or one row of probabilities a sample.
        path: of the .tflite to write.
        validation: like data, for the history.
        head_epochs, epochs: of the head alone, with the base frozen; of the fine-tuning. 0 leaves
            the first out.
        learning_rate, tuning_rate: Adam's in both; the second, if not given, a tenth of the first.
        loss: if not given, the cross-entropy that fits y and the head.
        unfreeze, rates, decay, freeze_bn: of the fine-tuning, as TransferLearningCallback takes
            them.
        teacher: a float model with the same outputs to learn from too while fine-tuning (distill).
        qat: a QATCallback with arguments of its own. callbacks: further ones, such as
            PruningCallback, for the fine-tuning.
        recipe: of the export. progress: see int8x.progress.

    Raises ModelError for a base that is none, ValueError or DataError for a head, data or another
    argument that does not fit, and what int8x.export raises.

    >>> base = keras.applications.MobileNetV2(input_shape=(96, 96, 3), include_top=False)
    >>> result = int8x.keras.transfer(base, 5, (x, y), "flowers.int8.tflite")
    >>> result.history["tuning"]["accuracy"][-1]
    """
    private.check_tensorflow("transfer")
    settings = TransferSettings(unfreeze, rates, decay, freeze_bn)
    _check_count("head_epochs", head_epochs, 0)
    _check_count("epochs", epochs, 1)
    _check_count("batch_size", batch_size, 1)
    settings.check_length(epochs)
    base = load_pretrained(base)
    training = read_training_data("data", data, batch_size)
    model = _join(base, head, training)
    training.check_labels(model.output_shape[-1])
    tested = (
        None if validation is None else read_training_data("validation", validation, batch_size)
    )
    if tested is not None:
        tested.check_labels(model.output_shape[-1])
    if loss is None:
        loss = _loss(model, training)

    def fit(title: str, count: int, rate: float, used: list[Any]) -> dict[str, list[float]]:
        model.compile(keras.optimizers.Adam(rate), loss, metrics=list(metrics))
        total = None if training.steps is None else count * training.steps
        with progress(title, total, 0) as advance:
            step = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: advance())
            options = {} if tested is None else {"validation_data": tested.given}
            return model.fit(
                **training.arguments(),
                epochs=count,
                verbose=0,
                callbacks=[*used, step],
                **options,
            ).history

    whole = any(isinstance(part, keras.layers.TFSMLayer) for part in parts(base))
    used: list[Any] = [] if whole else [TransferLearningCallback(base, **vars(settings))]
    history = {}
    if head_epochs:
        still = [] if whole else [TransferLearningCallback(base, unfreeze={})]
        history["head"] = fit("training the head", head_epochs, learning_rate, still)
    with distill(teacher, model) if teacher is not None else contextlib.nullcontext():
        used += [*callbacks, qat or QATCallback()]
        rate = learning_rate / 10 if tuning_rate is None else tuning_rate
        history["tuning"] = fit("fine-tuning quantization-aware", epochs, rate, used)
    handle = handle_of(model)
    assert handle is not None
    samples = training.samples if not _all_ranged(handle) else None
    graph = export(model, path, samples, recipe, progress=progress)
    return Transfer(model, graph, Path(path), history)


def _all_ranged(handle: Any) -> bool:
    return handle.has_ranges() and not handle.plan.unranged


def _join(base: keras.Model, head: Any, data: TrainingData) -> keras.Model:
    """base and head as one model for samples of the data's shape."""
    shape = getattr(base, "input_shape", None)
    if not isinstance(shape, tuple) or not isinstance(getattr(base, "output_shape", None), tuple):
        raise ValueError(
            f"transfer: base: {base.name}: one input and one output of known shape were wanted, "
            f"got {shape}"
        )
    if not base.built:
        raise ValueError(f"transfer: base: {base.name}: a built model was wanted")
    wanted, came = shape[1:], data.shape
    if len(wanted) != len(came) or any(
        None not in (a, b) and a != b for a, b in zip(wanted, came, strict=True)
    ):
        raise ValueError(
            f"transfer: data: samples of shape {wanted} were wanted by base {base.name}, got {came}"
        )
    inputs = keras.Input(tuple(a or b for a, b in zip(wanted, came, strict=True)))
    outputs = _head(head)(base(inputs))
    if not isinstance(outputs, keras.KerasTensor) or len(outputs.shape) < 2:
        raise ValueError(
            f"transfer: head: one output [batch, ...] was wanted, got {type(outputs).__name__}"
        )
    return keras.Model(inputs, outputs, name="transferred")


def _head(head: Any) -> Callable[[Any], Any]:
    if isinstance(head, int) and not isinstance(head, bool):
        if head < 2:
            raise ValueError(f"transfer: head: two classes or more were wanted, got {head}")
        return lambda features: _classifier(features, head)
    if not callable(head) or isinstance(head, type):
        raise ValueError(
            "transfer: head: a number of classes, a layer or model, or a function from the base's "
            f"output was wanted, got {head!r}"
        )
    return head


def _classifier(features: Any, classes: int) -> Any:
    """Mean over positions, dropout, logits."""
    pool = {3: keras.layers.GlobalAveragePooling1D, 4: keras.layers.GlobalAveragePooling2D}
    rank = len(features.shape)
    if rank not in (2, *pool):
        raise ValueError(
            "transfer: head: a number of classes goes with a base that gives [batch, ..., "
            f"channels], got {features.shape}"
        )
    x = pool[rank]()(features) if rank in pool else features
    x = keras.layers.Dropout(0.2)(x)
    return keras.layers.Dense(classes, name="logits")(x)


def _loss(model: keras.Model, data: TrainingData) -> Any:
    classes = model.output_shape[-1]
    if classes is None or classes < 2:
        raise ValueError(f"transfer: loss: a head with {classes} outputs needs one given")
    logits = not ends_in_softmax(model)
    if data.integers:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
    return keras.losses.CategoricalCrossentropy(from_logits=logits)


def _check_count(name: str, count: Any, least: int) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < least:
        raise ValueError(f"transfer: {name} must be a whole number from {least}, got {count!r}")
