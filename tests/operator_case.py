"""A model with one operator under test, and what to feed it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    """`feeds` are run one after the other in one interpreter, so that anything left over from the
    first shows. `resolver` names the runtime's kernels that know the operator. Where those are
    wrong, `expected` holds the outputs of each feed by the stated formula.
    """

    operator: str
    name: str
    model: bytes
    feeds: tuple[tuple[np.ndarray, ...], ...]
    resolver: str = "reference"
    expected: tuple[tuple[np.ndarray, ...], ...] | None = None
