"""What PruningCallback does to a model at a given sparsity: single units of kernels, or filters."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import keras
import numpy as np

from int8x.keras import masks
from int8x.keras.channels import channels_of, is_depthwise
from int8x.keras.patterns import Pattern, Units, smallest
from int8x.keras.prunable import Held, Kernel, MatrixKernel, choose, kernel_of
from int8x.keras.sensitivity import Curve, allocate, measure

Sparsity = float | Mapping[str, float]


class Pruner(Protocol):
    """kernels: those that are pruned. dense: why other layers are not. notes: how those are."""

    kernels: list[Kernel]
    dense: dict[str, str]
    notes: dict[str, str]

    def prune(self, at: Callable[[float], float]) -> None:
        """Chooses the masks anew; `at` gives the sparsity of now from the final one."""

    def reapply(self) -> None:
        """Zeroes again what is masked."""


class UnitPruner:
    """Blocks, N:M groups or single weights of each kernel, or of all together.

    curves: of the kernels, once `measure` has made them, for scope "sensitivity".
    """

    def __init__(
        self,
        model: keras.Model,
        pattern: Pattern,
        scope: str,
        sparsity: Sparsity,
        exclude: Iterable[Any],
    ) -> None:
        self.model, self.pattern, self.scope, self.sparsity = model, pattern, scope, sparsity
        self.kernels, self.dense = choose(model, pattern, exclude)
        self.kernels, unnamed = named(self.kernels, sparsity)
        self.dense |= unnamed
        self.notes = {kernel.label: repr(pattern) for kernel in self.kernels}
        self.curves: list[Curve] = []

    def measure(self, samples: Any) -> None:
        """Measures how much the loss grows when each layer is pruned."""
        self.curves = measure(self.model, self.kernels, self.pattern, samples)

    def prune(self, at: Callable[[float], float]) -> None:
        units = [Units(k.to_rows(k.value()), self.pattern) for k in self.kernels]
        if self.scope == "global":
            assert isinstance(self.sparsity, float)
            scores = [unit.scores for unit in units]
            off = smallest(scores, self._count(sum(map(len, scores)), at(self.sparsity)))
            for score, gone in zip(scores, off, strict=True):
                if gone.all() and not self.pattern.keep:  # a layer without weights cuts the net
                    gone[score.argmax()] = False
        elif self.scope == "sensitivity":
            assert isinstance(self.sparsity, float)
            count = self._count(sum(len(unit.scores) for unit in units), at(self.sparsity))
            room = sum(len(unit.scores) - 1 for unit in units)
            counts = allocate(self.curves, min(count, room))
            off = [smallest([u.scores], n)[0] for u, n in zip(units, counts, strict=True)]
        else:
            finals = [share_for(kernel, self.sparsity) for kernel in self.kernels]
            off = [
                smallest([unit.scores], self._count(len(unit.scores), at(final)))[0]
                for unit, final in zip(units, finals, strict=True)
            ]
        for kernel, unit, gone in zip(self.kernels, units, off, strict=True):
            masks.set_mask(self.model, kernel, kernel.from_rows(unit.mask(gone)))

    def reapply(self) -> None:
        for kernel in self.kernels:
            masks.apply_mask(kernel)

    def _count(self, units: int, sparsity: float) -> int:
        """How many units are off at a sparsity, rounded half up; one block always stays."""
        most = units if self.pattern.keep else units - 1
        return min(math.floor(units * sparsity / self.pattern.most + 0.5), most)


class FilterPruner:
    """Whole output channels, with everything that makes them: `shrink` can take them out.

    Channels that a residual addition makes one go together; those that reach the model's end stay.
    """

    def __init__(self, model: keras.Model, sparsity: Sparsity, exclude: Iterable[Any]) -> None:
        self.model, self.sparsity = model, sparsity
        chosen, self.dense = choose(model, Pattern(), exclude)
        chosen, unnamed = named(chosen, sparsity)
        self.dense |= unnamed
        self.channels = channels_of(model)
        self.kernels: list[Kernel] = []
        fixed: set[int] = set()  # classes that a layer makes which may not be pruned
        names = {id(kernel.layer) for kernel in chosen}
        for key, numbers in self.channels.makes.items():
            if key not in names:
                fixed |= set(self.channels.classes(numbers).tolist())
        self.parts: dict[frozenset[int], set[int]] = {}  # classes by the layers that make them
        self.rows: dict[int, list[tuple[Kernel, np.ndarray]]] = {}
        for kernel in chosen:
            self._add(kernel, fixed)
        if not self.kernels:
            raise ValueError(
                f"{model.name}: a layer with filters to prune was wanted, got none: those of all "
                "reach the model's end, or operations that do not keep zero"
            )
        makers: dict[int, set[int]] = {}
        for number, rows in self.rows.items():
            makers[number] = {id(kernel.layer) for kernel, _ in rows}
        for number, layers in makers.items():
            self.parts.setdefault(frozenset(layers), set()).add(number)
        self.gone: set[int] = set()
        self.notes = {kernel.label: "filters" for kernel in self.kernels}

    def _add(self, kernel: Kernel, fixed: set[int]) -> None:
        numbers = self.channels.makes.get(id(kernel.layer))
        if isinstance(kernel, MatrixKernel):
            self.dense[kernel.label] = "its channels cannot go"
            return
        if numbers is None:
            self.dense[kernel.label] = "not called"
            return
        classes, pinned = self.channels.classes(numbers), self.channels.pinned(numbers)
        free = [c for c, pin in zip(classes, pinned, strict=True) if not pin and c not in fixed]
        if not free:
            self.dense[kernel.label] = "its channels cannot go"
            return
        self.kernels.append(kernel)
        for number in set(free):
            self.rows.setdefault(number, []).append((kernel, np.flatnonzero(classes == number)))

    def prune(self, at: Callable[[float], float]) -> None:
        norms: dict[int, np.ndarray] = {}
        for kernel in self.kernels:
            norms[id(kernel)] = np.abs(kernel.to_rows(kernel.value())).mean((1, 2))
        scores = {
            number: sum(float(norms[id(kernel)][rows].sum()) for kernel, rows in found)
            for number, found in self.rows.items()
        }
        for part in self.parts.values():
            ordered = sorted(part, key=lambda n: (scores[n], n))
            kernel = self.rows[ordered[0]][0][0]
            count = math.floor(len(ordered) * at(share_for(kernel, self.sparsity)) + 0.5)
            self.gone |= set(ordered[: min(count, len(ordered) - 1)])
        for held, numbers in self._held():
            stays = ~np.isin(self.channels.classes(numbers), list(self.gone))
            shape = [1] * len(held.variable.shape)
            axis = held.output_axis if isinstance(held, Kernel) else 0
            shape[axis] = -1
            mask = np.broadcast_to(stays.reshape(shape), tuple(held.variable.shape))
            masks.set_mask(self.model, held, mask)

    def reapply(self) -> None:
        for held, _ in self._held():
            masks.apply_mask(held)

    def _held(self) -> list[tuple[Held, np.ndarray]]:
        """Every variable that makes a channel zero, with its channels' numbers."""
        found: list[tuple[Held, np.ndarray]] = []
        pruned = {id(kernel.layer) for kernel in self.kernels}
        for key, layer in self.channels.layers.items():
            reads = self.channels.reads[key]
            if isinstance(layer, keras.layers.BatchNormalization):
                names = ("gamma", "beta", "moving_mean")
                found += [(held, reads) for held in _variables(layer, names)]
            elif is_depthwise(layer):
                repeated = np.repeat(reads, layer.depth_multiplier)
                found += [(held, repeated) for held in _variables(layer, ("bias",))]
            elif key in pruned:
                kernel, makes = kernel_of(layer), self.channels.makes[key]
                assert kernel is not None
                found.append((kernel, makes))
                found += [(held, makes) for held in _variables(layer, ("bias",))]
        return found


def _variables(layer: Any, names: tuple[str, ...]) -> list[Held]:
    variables = ((name, getattr(layer, name, None)) for name in names)
    return [Held(layer, name, variable) for name, variable in variables if variable is not None]


def named(kernels: list[Kernel], sparsity: Sparsity) -> tuple[list[Kernel], dict[str, str]]:
    """The kernels that the sparsities name, and a note for each of the others.

    ValueError for a name that none has.
    """
    if not isinstance(sparsity, Mapping):
        return kernels, {}
    chosen = [k for k in kernels if any(fnmatch.fnmatchcase(k.label, n) for n in sparsity)]
    for name in sparsity:
        if not any(fnmatch.fnmatchcase(kernel.label, name) for kernel in chosen):
            raise ValueError(f"PruningCallback: sparsity: no layer to prune is called {name!r}")
    others = [kernel for kernel in kernels if kernel not in chosen]
    return chosen, {kernel.label: "not named in sparsity" for kernel in others}


def share_for(kernel: Kernel, sparsity: Sparsity) -> float:
    """The kernel's final sparsity: that of the first name or pattern that fits."""
    if not isinstance(sparsity, Mapping):
        return sparsity
    return next(s for name, s in sparsity.items() if fnmatch.fnmatchcase(kernel.label, name))


def checked_sparsity(sparsity: Any, pattern: Pattern | None) -> float | dict[str, float]:
    """PruningCallback's argument, or what stands for none; ValueError unless it is shares."""
    if sparsity is None:
        return pattern.most if pattern is not None and pattern.keep else 0.5
    if isinstance(sparsity, Mapping):
        return {str(name): _checked_share(share, pattern) for name, share in sparsity.items()}
    return _checked_share(sparsity, pattern)


def _checked_share(share: Any, pattern: Pattern | None) -> float:
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share < 1:
        raise ValueError(f"PruningCallback: sparsity must be a share in [0, 1), got {share!r}")
    if pattern is not None and pattern.keep and share != pattern.most:
        raise ValueError(
            f"PruningCallback: {pattern} comes to a sparsity of {pattern.most:g}, got {share!r}"
        )
    return float(share)
