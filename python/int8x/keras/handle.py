"""Instruments a model in place, and takes the instruments away.

Instance attributes replace `call`; class, name, configuration, weight files, `clone_model`,
`deepcopy` and pickle see the plain model. Learned ranges are variables in a sub-layer of each layer
and are saved with the model.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator, Set
from typing import Any

import keras
import numpy as np
from keras import ops

from int8x.keras import jax_limits, masks, private, tensors
from int8x.keras.equalization import even_out
from int8x.keras.forward import EXPORT, INFER, TRAIN, Forward, Switches
from int8x.keras.kernel_grids import KernelGrids
from int8x.keras.limits import check_layers, recurrent
from int8x.keras.plan import CallPlan, Plan, make_plan
from int8x.keras.prunable import excluded
from int8x.keras.qat_wrapper import wrapped_settings
from int8x.keras.ranges import Ranges
from int8x.keras.scales import Scales, scales_of
from int8x.keras.settings import Settings
from int8x.keras.trace import record

_HANDLE = "_int8x_qat_handle"


class Handle:
    """An instrumented model: its plan, its ranges and its switches.

    A model that is not built yet is planned when it is first run.
    """

    def __init__(self, model: keras.Model, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.switches = Switches()
        self.struct: Any = private.input_struct(model)
        self.plan: Plan | None = None
        self.ranges: Ranges | None = None
        self.kernels: KernelGrids | None = None
        self.forward: Forward | None = None
        self.loops: list[tuple[str, str]] = []  # name and class of recurrent layers, left in float
        self.equalized: dict[str, int] = {}  # channels rescaled, by the layer that makes them
        self.equalizes = True  # whether uneven channels may be evened out, by whoever asks
        self.entered = False  # whether the model's call has been traced with rounding on
        self._scales: Scales | None = None
        self._in_train_step = False
        self._learning = False
        self._planning = False
        self._patched: list[Any] = []
        self._patched_train_step = False
        if self.struct is not None:
            self._instrument()
        self._patch(model, self._model_call(model.call))
        if (
            not model._call_has_training_arg
        ):  # then only the train step tells training from inference
            private.patch_train_step(model, self._train_step(model.train_step))
            self._patched_train_step = True

    def _patch(self, operation: Any, call: Callable[..., Any]) -> None:
        private.patch_call(operation, call)
        self._patched.append(operation)

    def _instrument(self) -> None:
        self._planning = True
        try:
            left_out = excluded(self.model, self.settings.exclude, "QATCallback")
            loops = recurrent(self.model, left_out)
            whole = {id(part) for loop in loops for part in (loop, *private.all_layers(loop))}
            check_layers(self.model, left_out | whole, "QATCallback")
            bits = self.settings.activation_bits
            taken = record(self.model, self.struct, left_out | whole)
            self._scales = scales_of(self.model, taken, left_out | whole)
            self.plan = make_plan(taken, bits, left_out | whole)
            self._tell_loops(loops, left_out)
        finally:
            self._planning = False
        with private.scope_of(self.model):
            self.ranges = Ranges(self.plan, self.settings)
            self.kernels = KernelGrids(self.plan.calls, self.settings)
        self.forward = Forward(self.ranges, self.kernels, self.settings, self.switches)
        if self.plan.unranged:
            warnings.warn(
                f"{self.model.name}: no range is learned for {', '.join(self.plan.unranged)}; "
                "int8x.export will need data to calibrate them",
                stacklevel=2,
            )
        by_operation: dict[int, list[CallPlan]] = {}
        for call in self.plan.calls:
            by_operation.setdefault(id(call.operation), []).append(call)
        for calls in by_operation.values():
            self._patch(calls[0].operation, self._operation_call(calls, calls[0].operation.call))

    def _tell_loops(self, layers: list[keras.Layer], left_out: Set[int]) -> None:
        """Says which recurrent layers are called, and stay in float though nobody excluded them or
        their cells.
        """
        assert self.plan is not None
        called = {id(call.operation) for call in self.plan.calls}
        self.loops = [
            (layer.name, type(layer).__name__)
            for layer in layers
            if id(layer) in called
            and not any(id(part) in left_out for part in private.all_layers(layer))
        ]
        if self.loops:
            named = ", ".join(f"{kind} {name!r}" for name, kind in self.loops)
            warnings.warn(
                f"{self.model.name}: recurrent layers are trained in float, and exported so where "
                f"the recipe allows it (allow_float) or `exclude` names them: {named}",
                stacklevel=2,
            )

    def _operation_call(
        self, calls: list[CallPlan], original: Callable[..., Any]
    ) -> Callable[..., Any]:
        operation = calls[0].operation

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            assert self.forward is not None
            run = self.forward.run
            if run.mode is None:
                return original(*args, **kwargs)
            turn = run.turns[id(operation)]
            run.turns[id(operation)] += 1
            if turn >= len(calls):
                raise ValueError(
                    f"{operation.name}: at most {len(calls)} call(s) were wanted, as recorded, "
                    "got one more: "
                    "the model must call the same layers in training and in inference"
                )
            return self.forward.call(calls[turn], original, args, kwargs)

        return call

    def _model_call(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            if not self.switches.active or not self.model.built or self._planning:
                return original(*args, **kwargs)
            inputs = keras.tree.map_structure(_as_tensor, args[0])
            if self.plan is None:
                self.struct = keras.tree.map_structure(_any_batch, inputs)
                try:
                    with tensors.outside_trace():
                        self._instrument()
                except BaseException:
                    strip(self.model)  # what cannot be planned stays a plain, usable model
                    raise
            assert self.plan is not None and self.forward is not None
            self.entered = True
            run = self.forward.run
            training = kwargs.get("training")
            run.training = self._in_train_step if training is None else bool(training)
            run.mode = EXPORT if self.switches.exporting else TRAIN if run.training else INFER
            run.turns.clear()
            try:
                inputs = self.forward.round_all(self.plan.inputs, inputs)
                return self.forward.round_all(
                    self.plan.outputs, original(inputs, *args[1:], **kwargs)
                )
            finally:
                run.mode = None

        return call

    def _train_step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def train_step(*args: Any, **kwargs: Any) -> Any:
            self._in_train_step = True
            try:
                return original(*args, **kwargs)
            finally:
                self._in_train_step = False

        return train_step

    def turn(self, **switches: bool) -> bool:
        """Sets switches, for steps traced after this; whether any changed."""
        changed = {k for k, value in switches.items() if getattr(self.switches, k) != value}
        for name in changed:
            setattr(self.switches, name, switches[name])
        return bool(changed)

    def equalize(self, optimizer: Any = None) -> None:
        """Evens out uneven channels, unless `equalizes` is off or a batch has been seen: ranges are
        of the channels as they then were. Nothing is done in a model that has not been planned.

        optimizer: the model's, if not given; what it keeps beside the weights goes along.
        """
        if not self.equalizes or self._scales is None:
            return
        if self.ranges is None or self.ranges.begun():
            return
        private.sync_variables(self.model)
        optimizer = optimizer or getattr(self.model, "optimizer", None)
        self.equalized |= even_out(self._scales, optimizer)

    def run_watched(self, x: Any, watch: Callable[[Any, Any, Any], None]) -> None:
        """Runs the model on a batch, eagerly; `watch` is told (site, tensor, rounded)."""
        if self.forward is None:
            raise ValueError(f"{self.model.name}: a model that has run was wanted")
        self.forward.watch = watch
        try:
            with self._active():
                self.model(x, training=False)
        finally:
            self.forward.watch = None

    def begin_learning(self, optimizer: Any = None) -> bool:
        """Makes ranges and scales variables of the optimizer, to be moved in steps that are traced
        with `switches.learn`; false when the settings do not ask for it, or ranges are missing.

        optimizer: the model's, if not given; it is told of the new variables.
        """
        if not self.settings.learned or not self.has_ranges():
            return False
        assert self.kernels is not None
        self.kernels.begin()
        self._make_trainable(True, optimizer)
        return True

    def end_learning(self, optimizer: Any = None) -> None:
        """Takes ranges and scales from the optimizer again."""
        if self._learning:
            self._make_trainable(False, optimizer)

    def _make_trainable(self, on: bool, optimizer: Any) -> None:
        self._learning = on
        assert self.ranges is not None and self.kernels is not None
        for variable in (*self.ranges.variables(), *self.kernels.variables()):
            variable.trainable = on
        optimizer = optimizer or getattr(self.model, "optimizer", None)
        if optimizer is not None:
            private.adopt_variables(self.model, optimizer)

    def not_entered(self) -> str:
        """What is wrong when a training step with rounding on did not call the model."""
        name = self.model.name
        parts = [part.name for part in private.walk_models(self.model) if part is not self.model]
        told = f" ({', '.join(parts)})" if parts else ""
        return (
            f"{name}: a train_step that calls the model, self(x, training=True), was wanted, got "
            "one that calls its parts: they were trained in float; or give the part that shall be "
            f"int8{told} to int8x.keras.qat, compile again and fit within that"
        )

    def has_ranges(self) -> bool:
        """Whether every range has seen a batch."""
        return self.ranges is not None and self.ranges.complete()

    def restore(self) -> None:
        """Puts every replaced method back; the ranges stay with the layers."""
        for operation in self._patched:
            private.restore_call(operation)
        if self._patched_train_step:
            private.patch_train_step(self.model, None)
        private.reset_functions(self.model)

    @contextlib.contextmanager
    def exporting(self) -> Iterator[None]:
        """Within, the model computes with markers and folded kernels."""
        active, self.switches.active, self.switches.exporting = self.switches.active, True, True
        try:
            yield
        finally:
            self.switches.active, self.switches.exporting = active, False

    @contextlib.contextmanager
    def _active(self) -> Iterator[None]:
        active, self.switches.active = self.switches.active, True
        try:
            yield
        finally:
            self.switches.active = active

    @contextlib.contextmanager
    def plain(self) -> Iterator[None]:
        """Within, the model computes in plain float."""
        active, self.switches.active = self.switches.active, False
        try:
            yield
        finally:
            self.switches.active = active


def _as_tensor(x: Any) -> Any:
    return ops.convert_to_tensor(x) if isinstance(x, np.ndarray) else x


def _any_batch(x: Any) -> keras.KerasTensor:
    return keras.KerasTensor((None, *x.shape[1:]), keras.backend.standardize_dtype(x.dtype))


def handle_of(model: keras.Model) -> Handle | None:
    """The handle of an instrumented model, else None."""
    return vars(model).get(_HANDLE)


@contextlib.contextmanager
def in_float(model: keras.Model) -> Iterator[None]:
    """Within, a model computes in plain float, whether or not it is instrumented."""
    handle = handle_of(model)
    if handle is None:
        yield
        return
    with handle.plain():
        private.reset_functions(model)
        yield
    private.reset_functions(model)


def equalize_model(model: keras.Model) -> dict[str, int]:
    """Evens out the uneven channels of a model, instrumented or not: see `even_out`.

    One that is not built, cannot be recorded, or whose ranges have seen a batch stays as it is.
    """
    handle = handle_of(model)
    if handle is not None:
        handle.equalize()
        return dict(handle.equalized)
    struct = private.input_struct(model)
    if struct is None:
        return {}
    try:
        scales = scales_of(model, record(model, struct), set())
    except ValueError:  # recurrent layers
        return {}
    private.sync_variables(model)
    return {} if scales is None else even_out(scales, getattr(model, "optimizer", None))


def attach(model: keras.Model, **settings: Any) -> Handle:
    """Instruments a model in place for fake quantization; ranges its layers carry are kept.

    settings: weights, weight_bits, activation_bits, ranges and exclude as QATCallback takes them;
    with none, those of the model's QATWrappers, or else of the last time, if any. ValueError for
    others than the wrappers'.

    Ranges saved in a `.keras` or `.weights.h5` file come back by attaching, then loading the
    weights again:

        model = keras.saving.load_model("model.keras")
        int8x.keras.attach(model)
        model.load_weights("model.keras")
    """
    private.check_version()
    old = handle_of(model)
    wanted = _settings(model, old, settings)
    if keras.backend.backend() == "jax":
        jax_limits.check_training(model, wanted)
    if old is not None:
        old.restore()
    for part in private.walk_models(model):
        if part is not model and handle_of(part) is not None:
            raise ValueError(
                f"{model.name}: its part {part.name!r} is itself instrumented: strip that first"
            )
    if model.built:
        masks.keep_zeros(model)
    handle = Handle(model, wanted)
    object.__setattr__(model, _HANDLE, handle)
    private.reset_functions(model)
    return handle


def _settings(model: keras.Model, old: Handle | None, given: dict[str, Any]) -> Settings:
    wrapped, wanted = wrapped_settings(model), Settings(**given)
    if wrapped is not None:
        if wanted not in (Settings(), wrapped):
            raise ValueError(
                f"{model.name}: its QATWrappers say how it is trained: QATCallback() was wanted, "
                "got one with settings of its own"
            )
        return wrapped
    return old.settings if old is not None and not given else wanted


def strip(model: keras.Model) -> keras.Model:
    """Takes fake quantization, ranges and masks away: the model is plain float again, as trained.

    Pruned weights stay zero until it is trained on.
    """
    handle = handle_of(model)
    masks.remove_masks(model)
    if handle is not None:
        handle.restore()
        if handle.ranges is not None and handle.kernels is not None:
            handle.ranges.remove()
            handle.kernels.remove()
        vars(model).pop(_HANDLE)
    private.reset_functions(model)
    private.restore_steps(model)
    return model


__all__ = ["Handle", "attach", "handle_of", "in_float", "strip"]
