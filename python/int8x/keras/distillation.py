"""Distillation: a fit whose loss also asks for what a float teacher gives."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Any

import keras

from int8x.keras import private

_LEAST = 1e-7  # probabilities below are taken as this, as Keras's own losses do


class SoftTargets(keras.losses.Loss):
    """temperature^2 * KL(softmax(teacher / temperature) || softmax(student / temperature)) of
    logits [..., classes], for each sample (arXiv:1503.02531).

    The factor keeps gradients as large as at temperature 1.

    >>> float(SoftTargets(2.0)([[1.0, 0.0]], [[1.0, 0.0]]))
    0.0
    """

    def __init__(self, temperature: float) -> None:
        super().__init__(name="soft_targets")
        self.temperature = temperature

    def call(self, y_true: Any, y_pred: Any) -> Any:
        teacher = keras.ops.log_softmax(y_true / self.temperature, axis=-1)
        student = keras.ops.log_softmax(y_pred / self.temperature, axis=-1)
        divergence = keras.ops.sum(keras.ops.exp(teacher) * (teacher - student), axis=-1)
        return self.temperature**2 * divergence


class Distillation:
    """A student under a teacher; see `distill`."""

    def __init__(
        self,
        teacher: keras.Model,
        student: keras.Model,
        temperature: float,
        weight: float,
        logits: tuple[bool, bool],
    ) -> None:
        self.teacher, self.student = teacher, student
        self.weight, self._logits = weight, logits
        self._soft = SoftTargets(temperature)
        self._hard = student.compute_loss
        private.patch_compute_loss(student, self._compute_loss)

    def _compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        **options: Any,
    ) -> Any:
        loss = self._hard(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **options)
        if not options.get("training", True):
            return loss
        targets = keras.ops.stop_gradient(
            _as_logits(self.teacher(x, training=False), self._logits[0])
        )
        outputs = _as_logits(y_pred, self._logits[1])
        _check_outputs(self.teacher, targets.shape, self.student, outputs.shape)
        soft = self._soft(targets, outputs, sample_weight=sample_weight)
        return (1.0 - self.weight) * loss + self.weight * soft

    def end(self) -> None:
        """The student's own loss again."""
        private.patch_compute_loss(self.student, None)

    def __enter__(self) -> Distillation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()


def distill(
    teacher: keras.Model,
    student: keras.Model,
    temperature: float = 4.0,
    weight: float = 0.5,
    from_logits: bool | tuple[bool, bool] | None = None,
) -> Distillation:
    """From now on `student.fit` also learns from the teacher's outputs, until `end()` or the end of
    a `with`; QATCallback, PruningCallback and the others work as ever.

    The loss is (1 - weight) * its own + weight * temperature^2 * KL(teacher || student) of softmax
    at that temperature (arXiv:1503.02531), weighted like its own by sample weights. The teacher is
    run on the same inputs with training=False and is never changed; evaluation has the own loss.

    teacher, student: classifiers with one output [..., classes], built, that share no layer.
    temperature: over 0. weight: in [0, 1]. from_logits: whether the outputs are logits and not
    probabilities, of both or of (teacher, student); if not given, what their last layers tell.

    ValueError for what makes no sense, and for outputs of different shapes.

    >>> with int8x.keras.distill(teacher, student, temperature=3.0):
    ...     student.fit(x, y, callbacks=[int8x.QATCallback()])
    """
    private.check_tensorflow("distill")
    for role, model in (("teacher", teacher), ("student", student)):
        if not isinstance(model, keras.Model) or not model.built:
            raise ValueError(f"distill: {role}: a built Keras model was wanted, got {model!r}")
    shared = {id(one) for one in [teacher, *private.all_layers(teacher)]}
    for layer in [student, *private.all_layers(student)]:
        if id(layer) in shared:
            raise ValueError(
                f"distill: teacher and student must share no layer, both have {layer.name}: "
                "keras.models.clone_model makes a copy, its weights set by set_weights"
            )
    if "compute_loss" in vars(student):
        raise ValueError(f"distill: {student.name} has a teacher already: end() that first")
    temperature = _number("temperature", temperature, "over 0", lambda t: 0 < t < math.inf)
    weight = _number("weight", weight, "in [0, 1]", lambda w: 0 <= w <= 1)
    logits = (
        (_logits("teacher", teacher), _logits("student", student))
        if from_logits is None
        else from_logits
        if isinstance(from_logits, tuple)
        else (from_logits, from_logits)
    )
    _check_outputs(teacher, _output_shape(teacher), student, _output_shape(student))
    return Distillation(teacher, student, temperature, weight, logits)


def _output_shape(model: keras.Model) -> Any:
    """None for a subclassed model, whose outputs are looked at when it is run."""
    return getattr(model, "output_shape", None)


def ends_in_softmax(model: keras.Model) -> bool | None:
    """Whether a model's one output is made by a softmax; None when it cannot be told."""
    last = private.last_operation(model)
    if last is None:
        return None
    if type(last).__name__ == "Softmax":
        return True
    return getattr(getattr(last, "activation", None), "__name__", "") == "softmax"


def _logits(role: str, model: keras.Model) -> bool:
    softmax = ends_in_softmax(model)
    if softmax is None:
        raise ValueError(
            f"distill: {role}: {model.name} does not tell what its output is: give from_logits"
        )
    return not softmax


def _as_logits(outputs: Any, are_logits: bool) -> Any:
    if isinstance(outputs, (dict, list, tuple)):
        raise ValueError(f"distill: one output [..., classes] was wanted, got {len(outputs)}")
    outputs = keras.ops.cast(outputs, "float32")
    return outputs if are_logits else keras.ops.log(keras.ops.maximum(outputs, _LEAST))


def _check_outputs(teacher: keras.Model, wanted: Any, student: keras.Model, came: Any) -> None:
    """ValueError unless both give [..., classes] of at least two classes; None is not known."""
    for model, shape in ((teacher, wanted), (student, came)):
        if shape is None:
            continue
        if isinstance(shape, (dict, list)) or len(shape) < 2 or shape[-1] == 1:
            raise ValueError(
                f"distill: {model.name}: one output [..., classes] of two classes or more was "
                f"wanted, got {shape}"
            )
    if None not in (wanted, came) and tuple(wanted)[1:] != tuple(came)[1:]:
        raise ValueError(
            f"distill: equal outputs were wanted, got {tuple(wanted)} of teacher {teacher.name} "
            f"and {tuple(came)} of student {student.name}"
        )


def _number(name: str, value: Any, wanted: str, fits: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not fits(value):
        raise ValueError(f"distill: {name} must be a number {wanted}, got {value!r}")
    return float(value)
