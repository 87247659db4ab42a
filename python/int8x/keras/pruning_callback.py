"""Pruning as a callback of `model.fit`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras

from int8x.keras import jax_limits, masks, private
from int8x.keras.course import check_switch
from int8x.keras.epoch_logs import EpochLogs
from int8x.keras.handle import equalize_model, in_float
from int8x.keras.layer_wrapper import wrappers_of
from int8x.keras.patterns import parse_pattern
from int8x.keras.prunable import check_exclude
from int8x.keras.pruners import FilterPruner, Pruner, UnitPruner, checked_sparsity
from int8x.keras.pruning_wrapper import PruningWrapper, WrappedPruner
from int8x.keras.schedules import Schedule, ask, polynomial
from int8x.keras.sparsity_report import SparsityReport, sparsity_of, sparsity_report

_UPDATES = 32  # how often masks are chosen within the ramp of a fit
_SCOPES = ("layer", "global", "sensitivity")
_RAMPS = ("polynomial", "constant")


class PruningCallback(keras.callbacks.Callback):
    """Prunes kernels by magnitude during `fit`: the smallest become zero, and stay exactly zero.

    Zeros stay through later fits (also without the callback, also by QATCallback, in the same fit
    too) and in the exported int8 file. `int8x.keras.strip` lifts the masks, `keep_zeros` brings
    them back to a model that was loaded from a file. Depthwise kernels stay dense, and so do layers
    whose channels do not divide by the block: `report` names them.

    Args:
        sparsity: the share of zeros wanted, 0.5 if not given, or for N:M what it comes to; or a
            dict from layer name or pattern to share (other layers stay dense).
        block: None, single weights; (1, 4) or (1, 16), consecutive input channels of one output
            channel at one kernel position; (4, 1), consecutive output channels.
        pattern: "2:4", "4:8", ...: of every 4 consecutive input channels 2 stay; or "filters",
            whole output channels with their biases and BatchNormalization, through residual
            additions and depthwise layers, which `int8x.keras.shrink` then takes out.
        scope: "layer", each layer gets the sparsity; "global", the smallest of all layers together;
            "sensitivity", all layers together get it, each as much as costs least in all: how much
            the loss grows when a layer is pruned is measured on `samples` when the fit begins.
        samples: (inputs, targets), or batches of them that can be read again and again: a few
            hundred samples of the training data.
        schedule: "polynomial", a ramp that is fast at first (arXiv:1710.01878); "constant", all at
            once; or a callable `schedule(step) -> (whether to prune, sparsity)`, such as
            `int8x.keras.PolynomialDecay` or TFMOT's schedules, asked with the optimizer's step.
        ramp: the share of the fit's steps, in [0, 1), after which "polynomial" ends.
        exclude: names, patterns or classes of layers that stay dense.
        equalize: before the first weight goes, channels that differ much in scale are evened out as
            QATCallback does, where the float model computes the same to the bit: sizes of weights
            tell what matters only among alike channels.

    Attributes: `report`, a SparsityReport after `fit`; `sensitivity`, by layer and share of zeros,
    how much the loss grows, where it was measured; `equalized`, by layer, how many channels were
    evened out. `logs["sparsity"]` holds the share of zeros in the pruned kernels after each epoch.

    Raises ValueError for what is not known, and in `fit` when no layer can be pruned.

    Example:
        >>> import keras, numpy, int8x
        >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(32)])
        >>> model.compile("adam", "mse")
        >>> x = numpy.random.rand(64, 64).astype("float32")
        >>> pruning = int8x.PruningCallback(sparsity=0.75, block=(1, 4))
        >>> history = model.fit(x, x[:, :32], epochs=2, verbose=0, callbacks=[pruning])
        >>> pruning.report.sparsity
        0.75
    """

    def __init__(
        self,
        sparsity: float | Mapping[str, float] | None = None,
        block: tuple[int, int] | None = None,
        pattern: str | None = None,
        scope: str = "layer",
        schedule: str | Schedule = "polynomial",
        ramp: float = 0.5,
        exclude: tuple[Any, ...] = (),
        samples: Any = None,
        equalize: bool = True,
    ) -> None:
        super().__init__()
        self.pattern = None if pattern == "filters" else parse_pattern(block, pattern)
        if self.pattern is None and (block is not None or scope != "layer"):
            raise ValueError("PruningCallback: pattern 'filters' takes no block, and scope 'layer'")
        self.sparsity = checked_sparsity(sparsity, self.pattern)
        if scope not in _SCOPES:
            told = ", ".join(map(repr, _SCOPES[:-1]))
            raise ValueError(
                f"PruningCallback: scope must be {told} or {_SCOPES[-1]!r}, got {scope!r}"
            )
        if scope != "layer" and isinstance(self.sparsity, dict):
            raise ValueError(f"PruningCallback: scope {scope!r} takes one sparsity, got a dict")
        if (scope == "sensitivity") != (samples is not None):
            raise ValueError(
                "PruningCallback: scope 'sensitivity' and samples go together, got "
                f"scope {scope!r} {'without' if samples is None else 'with'} samples"
            )
        if scope == "sensitivity" and self.pattern is not None and self.pattern.keep:
            raise ValueError(
                f"PruningCallback: {self.pattern} leaves scope 'sensitivity' nothing to choose"
            )
        if schedule not in _RAMPS and not callable(schedule):
            raise ValueError(
                "PruningCallback: schedule must be 'polynomial', 'constant' or a callable, got "
                f"{schedule!r}"
            )
        if callable(schedule) and sparsity is not None:
            raise ValueError("PruningCallback: a schedule sets the sparsity: give one of both")
        if isinstance(ramp, bool) or not isinstance(ramp, (int, float)) or not 0 <= ramp < 1:
            raise ValueError(f"PruningCallback: ramp must be a share in [0, 1), got {ramp!r}")
        self.scope, self.schedule, self.ramp = scope, schedule, float(ramp)
        self.samples = samples
        self.sensitivity: dict[str, dict[float, float]] = {}
        self.exclude = check_exclude(exclude, "PruningCallback")
        self.equalize = check_switch("PruningCallback", "equalize", equalize)
        self.equalized: dict[str, int] = {}
        chosen = (sparsity, block, pattern, scope, self.exclude)
        self._chooses = chosen != (None, None, None, "layer", ())
        self.report: SparsityReport | None = None
        self._logs = EpochLogs(self._measure)
        self._pruner: Pruner | None = None

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        private.check_version()
        if keras.backend.backend() == "jax":
            jax_limits.check_trainer("PruningCallback")
        private.restore_epoch_logs(model)  # of a fit that was interrupted
        self.report, self._pruner = None, None
        self._begun = False

    def _prepare(self) -> None:
        """Finds the kernels, hangs masks on them, and has the next step trace the constraints."""
        masks.keep_zeros(self.model)
        if self.equalize:
            self.equalized = equalize_model(self.model)
        pruner = self._make_pruner()
        misfits = [f"{n} ({r})" for n, r in pruner.dense.items() if "divide" in r]
        if misfits:
            warnings.warn(
                f"{self.model.name}: left dense, not in {self.pattern}: {', '.join(misfits)}",
                stacklevel=2,
            )
        pruner.prune(lambda _: 0.0)  # hangs the masks
        masks.claim(pruner.kernels, self)
        self._start = sparsity_of(pruner.kernels)
        self._pruner = pruner
        private.remake_train_function(self.model)

    def _make_pruner(self) -> Pruner:
        if wrappers_of(self.model, PruningWrapper):
            if self._chooses:
                raise ValueError(
                    f"{self.model.name}: its PruningWrappers say what is pruned: PruningCallback "
                    "with at most schedule and ramp was wanted, got other arguments too"
                )
            return WrappedPruner(self.model)
        if self.pattern is None:
            return FilterPruner(self.model, self.sparsity, self.exclude)
        pruner = UnitPruner(self.model, self.pattern, self.scope, self.sparsity, self.exclude)
        if self.scope == "sensitivity":
            with in_float(self.model):
                pruner.measure(self.samples)
            self.sensitivity = {curve.layer: curve.by_share() for curve in pruner.curves}
        return pruner

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._begun:
            raise ValueError("PruningCallback: once in a fit was wanted, got it twice")
        self._begun = True
        self._first_epoch: int | None = None
        self._done = -1.0  # the progress at which masks were last chosen
        self._asked: int | None = None
        if self.model.built:  # by now every callback has said which layers will learn
            self._prepare()
        self._logs.begin(self.model)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        self._logs.begin_epoch()
        if self._first_epoch is None:
            self._first_epoch = epoch
            self._check_alone()
        if (
            self._pruner is not None
            and not self.params.get("steps")
            and not callable(self.schedule)
        ):
            epochs = max(self.params["epochs"] - self._first_epoch, 1)
            self._ramp_to((epoch - self._first_epoch + 0.5) / epochs)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._pruner is None:
            return
        if callable(self.schedule):
            self._follow(self.schedule)
            return
        steps = self.params.get("steps")
        if steps:
            assert self._first_epoch is not None
            total = max(self.params["epochs"] - self._first_epoch, 1) * steps
            done = (self._epoch - self._first_epoch) * steps + batch
            end = int(total * self.ramp)
            every = max(end // _UPDATES, 1)
            # The last mask is chosen when the ramp ends, those before at every so many steps.
            self._ramp_to(1.0 if done >= end else done // every * every / total)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._pruner is None:  # the first step has built the model
            self._prepare()
            private.remake_train_function(self.model)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._logs.end_epoch(logs)

    def _measure(self) -> dict[str, float]:
        return {} if self._pruner is None else {"sparsity": sparsity_of(self._pruner.kernels)}

    def _check_alone(self) -> None:
        for kernel in self._pruner.kernels if self._pruner is not None else ():
            if not masks.is_claimed(kernel, self):
                raise ValueError(
                    f"PruningCallback: one in a fit for each layer was wanted, got a second one "
                    f"for {kernel.label!r}"
                )

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._begun = False
        self._logs.end(self.model)
        if self._pruner is None:
            return
        self._pruner.reapply()  # averaged weights come past the constraints
        if callable(self.schedule):
            self._warn_if_unfinished(self.schedule, sparsity_of(self._pruner.kernels))
        self.report = sparsity_report(self.model, {**self._pruner.notes, **self._pruner.dense})

    def _ramp_to(self, share: float) -> None:
        """Masks for a share of the fit's steps, if they were not yet chosen for it."""
        if share <= self._done:
            return
        self._done = share
        progress = 1.0
        if self.schedule == "polynomial" and share < self.ramp:
            progress = polynomial(0.0, 1.0, share / self.ramp)

        def at(final: float) -> float:
            start = min(self._start, final)
            return start + (final - start) * progress

        assert self._pruner is not None
        private.sync_variables(self.model)
        self._pruner.prune(at)

    def _follow(self, schedule: Callable[[int], Any]) -> None:
        """Asks a schedule for every step since it was last asked."""
        private.sync_variables(self.model)
        now = private.whole(self.model.optimizer.iterations)
        first = now if self._asked is None else self._asked + 1
        wanted = None
        for step in range(first, now + 1):
            due, sparsity = ask(schedule, step)
            if due:
                wanted = sparsity
        self._asked = now
        if wanted is not None:
            share: float = wanted
            assert self._pruner is not None
            self._pruner.prune(lambda _: share)

    def _warn_if_unfinished(self, schedule: Callable[[int], Any], reached: float) -> None:
        step = private.whole(self.model.optimizer.iterations)
        _, wanted = ask(schedule, 2**31 - 1)
        if wanted - reached > 0.01:
            warnings.warn(
                f"PruningCallback: the fit ended at step {step} with sparsity {reached:.3f}, the "
                f"schedule goes on to {wanted:.3f}",
                stacklevel=2,
            )
