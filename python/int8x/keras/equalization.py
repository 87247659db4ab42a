"""Cross-layer equalization of a Keras model, in place, before it is trained quantization-aware."""

from __future__ import annotations

from typing import Any

import numpy as np

from int8x.keras.optimizer_slots import rescale
from int8x.keras.scales import Scales, Weight

_SWEEPS = 20
_EVEN = 1.0  # deviation of log2(factor) below which training itself makes do
_SETTLED = 0.05  # largest change of log2(factor) in a sweep that is the last
_WIDEST = 12.0  # log2 of the widest factor


def even_out(scales: Scales, optimizer: Any = None) -> dict[str, int]:
    """Divides each channel i by s[i], a power of two, and multiplies what reads it by s[i], where
    channels are uneven; by name of the layers that make them, the number of channels changed.

    s[i] = sqrt(r1[i] / r2[i]) over its geometric mean in a layer, rounded to a power of two. r1[i]
    is the largest magnitude of the weights and bias that make the channel, of a BatchNormalization
    that of beta and of three times gamma; r2[i] that of the weights that read it. Channels that a
    layer makes stay when log2 s deviates by less than 1 from its mean. The float model computes bit
    for bit what it did. What an optimizer keeps beside the weights changes with them.

    Nagel et al. 2019, section 4.1 (arXiv:1906.04721).
    """
    free = scales.free()
    weights = [w for w in scales.weights if free & _set(scales, w)]
    if not weights:
        return {}
    net = _Net(scales, weights, free)
    for _ in range(_SWEEPS):
        if net.sweep() < _SETTLED:
            break
    powers = np.rint(net.logs)
    changed: dict[str, int] = {}
    for weight in weights:
        rows, columns = net.places(weight.rows), net.places(weight.columns)
        if not (powers[rows].any() or powers[columns].any()):
            continue
        factor = np.ones([1] * len(weight.variable.shape))
        if len(rows):
            factor = factor * weight.placed(2.0 ** -powers[rows], weight.row_axes)
        if len(columns):
            factor = factor * weight.placed(2.0 ** powers[columns], weight.column_axes)
        rescale(weight.variable, factor, optimizer)
        if weight.bias is not None and powers[rows].any():
            rescale(weight.bias, 2.0 ** -powers[rows], optimizer)
        if powers[rows].any():
            name = weight.layer.name
            changed[name] = changed.get(name, 0) + int(np.count_nonzero(powers[rows]))
    return changed


def _set(scales: Scales, weight: Weight) -> set[int]:
    numbers = np.concatenate([weight.rows, weight.columns])
    return set(scales.classes(numbers).tolist())


class _Net:
    """Magnitudes of weights and, by class, log2 of the factors so far; place 0 is that of all
    classes that stay.
    """

    def __init__(self, scales: Scales, weights: list[Weight], free: set[int]) -> None:
        self.weights = weights
        self._scales = scales
        self._place = {number: place for place, number in enumerate(sorted(free), 1)}
        self.logs = np.zeros(len(free) + 1)
        self._sizes = [_largest(w) for w in weights]
        self._biases = [
            np.zeros(len(w.rows)) if w.bias is None else np.abs(w.bias.numpy().astype(float))
            for w in weights
        ]
        self._rows = [self.places(w.rows) for w in weights]
        self._columns = [self.places(w.columns) for w in weights]
        self._sets = [np.unique(rows[rows > 0]) for rows in self._rows]
        self._touching = [self._touched(places) for places in self._sets]
        self._uneven: set[int] = set()

    def places(self, numbers: np.ndarray) -> np.ndarray:
        """The place of each number's class."""
        return np.array([self._place.get(n, 0) for n in self._scales.classes(numbers)], int)

    def _touched(self, places: np.ndarray) -> list[int]:
        """The numbers of the weights that make or read any of the places."""
        chosen = np.zeros(len(self.logs), bool)
        chosen[places] = True
        pairs = zip(self._rows, self._columns, strict=True)
        return [
            n
            for n, (rows, columns) in enumerate(pairs)
            if chosen[rows].any() or chosen[columns].any()
        ]

    def sweep(self) -> float:
        """Moves the factors of each set of channels that has been uneven so far, those that one
        weight makes, once; the largest change of log2.
        """
        moved = 0.0
        for number, places in enumerate(self._sets):
            step, known = self._step(self._touching[number])
            places = places[known[places]]
            if number not in self._uneven:
                if len(places) < 2 or step[places].std() <= _EVEN:
                    continue
                self._uneven.add(number)
            change = np.zeros_like(self.logs)
            wanted = self.logs[places] + step[places] - step[places].mean()
            change[places] = np.clip(wanted, -_WIDEST, _WIDEST) - self.logs[places]
            self.logs += change
            factors = 2.0**change
            for n in self._touching[number]:
                weight = self.weights[n]
                if len(self._rows[n]):
                    made = factors[self._rows[n]]
                    self._biases[n] /= made
                    self._sizes[n] /= weight.placed(made, weight.row_axes)
                if len(self._columns[n]):
                    read = weight.placed(factors[self._columns[n]], weight.column_axes)
                    self._sizes[n] *= read
            moved = max(moved, float(np.abs(change).max()))
        return moved

    def _step(self, numbers: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """log2 of sqrt(r1 / r2) over some weights, and where both are known."""
        made, read = np.zeros_like(self.logs), np.zeros_like(self.logs)
        for n in numbers:
            weight = self.weights[n]
            if len(self._rows[n]):
                largest = weight.reach * _over(self._sizes[n], weight.row_axes)
                np.maximum.at(made, self._rows[n], np.maximum(largest, self._biases[n]))
            if len(self._columns[n]):
                largest = _over(self._sizes[n], weight.column_axes)
                np.maximum.at(read, self._columns[n], largest)
        known = (made > 0) & (read > 0)
        known[0] = False
        ratio = np.where(known, made, 1.0) / np.where(known, read, 1.0)
        return np.log2(ratio) / 2, known


def _largest(weight: Weight) -> np.ndarray:
    """The largest magnitude over the axes that count no channels, which have size 1."""
    rank = len(weight.variable.shape)
    kept = {axis % rank for axis in (*weight.row_axes, *weight.column_axes)}
    others = tuple(axis for axis in range(rank) if axis not in kept)
    values = np.abs(weight.variable.numpy())
    return values.max(axis=others, keepdims=True)


def _over(sizes: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The largest for each channel that the axes count."""
    kept = {axis % sizes.ndim for axis in axes}
    others = tuple(axis for axis in range(sizes.ndim) if axis not in kept)
    return sizes.max(axis=others).reshape(-1)
