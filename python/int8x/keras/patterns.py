"""Which weights go together: the units that pruning switches off, and the order in which.

A kernel is looked at as [output channels, positions, input channels], the order of TFLite's rows.
A unit is what is kept or switched off as one: a weight, a block of weights, or the smallest of each
group of M. Everything here is numpy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

_BLOCKS = ((1, 1), (1, 4), (4, 1), (1, 16))


@dataclass(frozen=True)
class Pattern:
    """Blocks of `rows` output channels by `columns` input channels at one kernel position, both
    starting at multiples; with `keep`, the `keep` largest of every `columns` input channels stay.

    >>> Pattern(1, 4)
    1x4
    """

    rows: int = 1
    columns: int = 1
    keep: int = 0

    def __repr__(self) -> str:
        if self.keep:
            return f"{self.keep}:{self.columns}"
        return "single weights" if self == Pattern() else f"{self.rows}x{self.columns}"

    @property
    def most(self) -> float:
        """The share of zeros when every unit is off."""
        return 1 - self.keep / self.columns if self.keep else 1.0

    def misfit(self, outputs: int, inputs: int) -> str | None:
        """Why a kernel of so many channels has no such units, or None."""
        if inputs % self.columns:
            return f"{inputs} input channels do not divide by {self.columns}"
        if outputs % self.rows:
            return f"{outputs} output channels do not divide by {self.rows}"
        return None


def parse_pattern(block: Any, pattern: Any) -> Pattern:
    """The Pattern of PruningCallback's arguments; ValueError says what is known.

    >>> parse_pattern((1, 16), None), parse_pattern(None, "2:4")
    (1x16, 2:4)
    """
    if block is not None and pattern is not None:
        raise ValueError(
            f"PruningCallback: one of block and pattern was wanted, got {block!r} and {pattern!r}"
        )
    if pattern is not None:
        found = re.fullmatch(r"(\d+):(\d+)", pattern) if isinstance(pattern, str) else None
        keep, of = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 0 < keep < of:
            raise ValueError(
                f"PruningCallback: pattern must look like '2:4' (2 of every 4 stay), got "
                f"{pattern!r}"
            )
        return Pattern(1, of, keep)
    if block is None:
        return Pattern()
    if not isinstance(block, (tuple, list)) or tuple(block) not in _BLOCKS:
        raise ValueError(
            f"PruningCallback: block must be one of {', '.join(map(str, _BLOCKS[1:]))} (output "
            f"channels, input channels), got {block!r}"
        )
    return Pattern(*block)


class Units:
    """The units of one kernel [outputs, positions, inputs].

    `scores` holds the mean |w| of each unit, which is what goes first when small; of an N:M group
    it is that of the weights that would go.
    """

    def __init__(self, kernel: np.ndarray, pattern: Pattern) -> None:
        outputs, positions, inputs = self.shape = kernel.shape
        rows, columns = pattern.rows, pattern.columns
        blocks = np.abs(
            kernel.reshape(outputs // rows, rows, positions, inputs // columns, columns)
        )
        self.going: np.ndarray = np.ones(blocks.shape, bool)
        if pattern.keep:
            largest = np.argsort(-blocks, axis=-1, kind="stable")[..., : pattern.keep]
            np.put_along_axis(self.going, largest, False, axis=-1)
        count = self.going.sum((1, 4))
        self.scores: np.ndarray = ((blocks * self.going).sum((1, 4)) / count).reshape(-1)

    def mask(self, off: np.ndarray) -> np.ndarray:
        """True where the kernel stays, when the units `off` (bool, like `scores`) are off."""
        blocks = self.going.shape
        off = off.reshape(blocks[0], 1, blocks[2], blocks[3], 1)
        return ~(off & self.going).reshape(self.shape)


def smallest(scores: list[np.ndarray], count: int) -> list[np.ndarray]:
    """Which `count` units have the smallest scores of all arrays together: bool arrays like them.

    Ties go to the first; not-a-number counts as large.

    >>> smallest([np.array([3.0, 1.0]), np.array([2.0])], 2)
    [array([False,  True]), array([ True])]
    """
    joined = np.concatenate(scores)
    off = np.zeros(len(joined), bool)
    off[np.argsort(joined, kind="stable")[:count]] = True
    return np.split(off, np.cumsum([len(part) for part in scores])[:-1])
