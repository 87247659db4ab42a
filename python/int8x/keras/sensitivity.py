"""How much the loss grows when a layer is pruned, and the sparsities that cost least in all.

Each kernel is pruned alone to a few sparsities and the loss is measured on samples (Han et al.
2015, arXiv:1506.02626; Li et al. 2017, arXiv:1608.08710). Of each curve the convex hull from below
is taken, and units go along the hulls, the least increase per unit first, until the global target
is met: the least sum of increases that these curves allow (Shoham & Gersho 1988,
doi:10.1109/29.90373).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from int8x.keras.patterns import Pattern, Units, smallest
from int8x.keras.prunable import Kernel

SHARES = (0.25, 0.5, 0.625, 0.75, 0.875, 0.95, 1.0)  # of a layer's units; one always stays


@dataclass(frozen=True)
class Curve:
    """Increases of the loss by how many units of a layer are off: `off` ascends from 0."""

    layer: str
    units: int
    off: tuple[int, ...]
    increase: tuple[float, ...]

    def by_share(self) -> dict[float, float]:
        """Increase of the loss by sparsity."""
        return {off / self.units: up for off, up in zip(self.off, self.increase, strict=True)}


def measure(
    model: keras.Model, kernels: list[Kernel], pattern: Pattern, samples: Any
) -> list[Curve]:
    """The curve of each kernel, with the others as they are; the model is left as it was.

    samples: what `model.evaluate` takes, (inputs, targets) or batches of them.
    """
    base = _loss(model, samples)
    return [_curve(model, kernel, pattern, samples, base) for kernel in kernels]


def _curve(
    model: keras.Model, kernel: Kernel, pattern: Pattern, samples: Any, base: float
) -> Curve:
    value = kernel.value()
    rows = kernel.to_rows(value)
    units = Units(rows, pattern)
    count = len(units.scores)
    zeros = int((units.scores == 0).sum())
    wanted = {round(share * count) for share in SHARES} | {zeros}
    counts = sorted({min(number, count - 1) for number in wanted} - {0})
    increases, most = [], 0.0
    try:
        for number in counts:
            (off,) = smallest([units.scores], number)
            kernel.variable.assign(value * kernel.from_rows(units.mask(off)))
            up = _loss(model, samples) - base if number > zeros else 0.0
            most = max(most, up) if np.isfinite(up) else np.inf
            increases.append(most)
    finally:
        kernel.variable.assign(value)
    return Curve(kernel.label, count, (0, *counts), (0.0, *increases))


def _loss(model: keras.Model, samples: Any) -> float:
    given = samples if isinstance(samples, (tuple, list)) else (samples,)
    return float(model.evaluate(*given, verbose=0, return_dict=True)["loss"])


def allocate(curves: list[Curve], count: int) -> list[int]:
    """How many units of each layer are off when `count` of all are, at the least increase in all.

    A larger count never takes fewer of a layer; of equal increases those go first that leave their
    layer more. ValueError when there are fewer units.

    >>> flat, steep = Curve("a", 9, (0, 4, 8), (0, 0, 1)), Curve("b", 9, (0, 4, 8), (0, 2, 9))
    >>> allocate([steep, flat], 9)
    [1, 8]
    """
    pieces = []
    for number, curve in enumerate(curves):
        for first, last, slope in _hull(curve):
            pieces.append((slope, last / curve.units, number, last - first))
    room = sum(piece[3] for piece in pieces)
    if count > room:
        raise ValueError(f"at most {room} units can be pruned, {count} were wanted")
    off = [0] * len(curves)
    for _, _, number, length in sorted(pieces):
        taken = min(length, count)
        off[number] += taken
        count -= taken
    return off


def _hull(curve: Curve) -> list[tuple[int, int, float]]:
    """(first, last, increase per unit) of the pieces of the convex hull from below, ascending."""
    points = list(zip(curve.off, curve.increase, strict=True))
    hull = [points[0]]
    for point in points[1:]:
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) > _slope(hull[-1], point):
            hull.pop()
        hull.append(point)
    return [(a[0], b[0], _slope(a, b)) for a, b in itertools.pairwise(hull)]


def _slope(a: tuple[int, float], b: tuple[int, float]) -> float:
    if not np.isfinite(b[1]):
        return np.inf
    return (b[1] - a[1]) / (b[0] - a[0])
