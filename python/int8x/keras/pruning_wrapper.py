"""A layer that is pruned, for models that are built layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from int8x.keras.layer_wrapper import LayerWrapper, told_by, wrappers_of
from int8x.keras.masks import is_masked
from int8x.keras.patterns import Pattern, parse_pattern
from int8x.keras.prunable import Kernel, is_prunable, kernel_of
from int8x.keras.pruners import UnitPruner, checked_sparsity


@keras.saving.register_keras_serializable(package="int8x")
class PruningWrapper(LayerWrapper):
    """Marks a layer to be pruned, by PruningCallback.

    In a model with such wrappers `PruningCallback()` prunes the wrapped layers, each as its wrapper
    says, along the callback's schedule, and leaves the others dense. The wrapper is saved with the
    model, and has the layer's variables and outputs.

    Args:
        layer: one with a kernel that can be pruned: Dense, a convolution that is not depthwise,
            SeparableConv (its pointwise kernel).
        sparsity, block, pattern: as PruningCallback takes them, of this layer; not "filters", which
            go through many layers.

    Raises ValueError for values that are not known, other layers, a layer that is wrapped so
    already; and in `fit` for a layer whose channels do not divide by the block.

    Example:
        >>> import keras, numpy, int8x
        >>> dense = int8x.keras.PruningWrapper(keras.layers.Dense(32), sparsity=0.75, block=(1, 4))
        >>> model = keras.Sequential([keras.Input((64,)), dense])
        >>> model.compile("adam", "mse")
        >>> x = numpy.random.rand(64, 64).astype("float32")
        >>> pruning = int8x.PruningCallback()
        >>> history = model.fit(x, x[:, :32], epochs=2, verbose=0, callbacks=[pruning])
        >>> pruning.report.sparsity
        0.75
    """

    driver = "int8x.PruningCallback"
    prefix = "pruning_"

    def __init__(
        self,
        layer: keras.Layer,
        sparsity: float | None = None,
        block: tuple[int, int] | None = None,
        pattern: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(layer, **kwargs)
        inner = self.inner
        if not is_prunable(inner):
            raise ValueError(
                "PruningWrapper: Dense, a convolution that is not depthwise, or SeparableConv was "
                f"wanted, got {type(inner).__name__} {inner.name!r}"
            )
        if pattern == "filters":
            raise ValueError(
                f"PruningWrapper {inner.name!r}: filters go through many layers: use "
                "PruningCallback(pattern='filters')"
            )
        with told_by("PruningCallback", f"PruningWrapper {inner.name!r}"):
            self.units = parse_pattern(block, pattern)
            self.sparsity = checked_sparsity(sparsity, self.units)
        if not isinstance(self.sparsity, float):
            raise ValueError(f"PruningWrapper {inner.name!r}: one sparsity was wanted, got a dict")
        self.block, self.pattern = block, pattern

    def waits(self) -> bool:
        return not is_masked(self.inner)

    def get_config(self) -> dict[str, Any]:
        chosen = {"sparsity": self.sparsity, "block": self.block, "pattern": self.pattern}
        return {**super().get_config(), **chosen}


class WrappedPruner:
    """Prunes each wrapped layer as its wrapper says."""

    def __init__(self, model: keras.Model) -> None:
        shares: dict[Pattern, dict[str, float]] = {}
        for wrapper in wrappers_of(model, PruningWrapper):
            _check_fits(wrapper)
            shares.setdefault(wrapper.units, {})[wrapper.inner.name] = wrapper.sparsity
        self.parts: list[UnitPruner] = []
        self.dense: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        for pattern, named in shares.items():
            with told_by("PruningCallback", model.name):
                part = UnitPruner(model, pattern, "layer", named, ())
            self.parts.append(part)
            for name, reason in part.dense.items():
                self.dense[name] = reason if reason == "depthwise" else "not wrapped"
            self.notes |= part.notes
        self.kernels: list[Kernel] = [kernel for part in self.parts for kernel in part.kernels]
        for kernel in self.kernels:
            self.dense.pop(kernel.label, None)

    def prune(self, at: Callable[[float], float]) -> None:
        for part in self.parts:
            part.prune(at)

    def reapply(self) -> None:
        for part in self.parts:
            part.reapply()


def _check_fits(wrapper: PruningWrapper) -> None:
    kernel = kernel_of(wrapper.inner)
    misfit = "its kernel is no variable"
    if kernel is not None:
        misfit = wrapper.units.misfit(*kernel.channels) or ""
        if not kernel.variable.trainable or not wrapper.inner.trainable:
            misfit = "it is frozen"
    if misfit:
        raise ValueError(
            f"PruningWrapper {wrapper.inner.name!r}: {wrapper.units} cannot be pruned: {misfit}"
        )
