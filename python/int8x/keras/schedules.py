"""How sparse at which step: callables with the protocol of TFMOT's PruningSchedule.

`schedule(step)` gives (whether to choose masks anew now, the sparsity wanted). TFMOT's own schedule
objects work wherever these do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Schedule = Callable[[int], tuple[Any, Any]]


@dataclass(frozen=True)
class ConstantSparsity:
    """The same sparsity from `begin_step` on, every `frequency` steps; no change after `end_step`
    (-1: never ends).

    >>> ConstantSparsity(0.5, begin_step=10)(10)
    (True, 0.5)
    """

    target_sparsity: float
    begin_step: int = 0
    end_step: int = -1
    frequency: int = 100

    def __call__(self, step: int) -> tuple[bool, float]:
        return _due(step, self.begin_step, self.end_step, self.frequency), self.target_sparsity


@dataclass(frozen=True)
class PolynomialDecay:
    """From `initial_sparsity` at `begin_step` to `final_sparsity` at `end_step` (Zhu & Gupta 2017,
    arXiv:1710.01878): final + (initial - final) * (1 - progress)^power.

    >>> PolynomialDecay(0.0, 0.8, 0, 1000)(500)
    (True, 0.7)
    """

    initial_sparsity: float
    final_sparsity: float
    begin_step: int
    end_step: int
    power: float = 3
    frequency: int = 100

    def __call__(self, step: int) -> tuple[bool, float]:
        length = max(self.end_step - self.begin_step, 1)
        progress = min(max((step - self.begin_step) / length, 0.0), 1.0)
        sparsity = polynomial(self.initial_sparsity, self.final_sparsity, progress, self.power)
        return _due(step, self.begin_step, self.end_step, self.frequency), sparsity


def polynomial(initial: float, final: float, progress: float, power: float = 3) -> float:
    """The sparsity after a share of the ramp, in [0, 1]: fast at first, slow at the end.

    >>> polynomial(0.0, 0.8, 0.5)
    0.7
    """
    return final + (initial - final) * (1 - progress) ** power


def _due(step: int, begin: int, end: int, frequency: int) -> bool:
    return step >= begin and (end < 0 or step <= end) and (step - begin) % frequency == 0


def ask(schedule: Schedule, step: int) -> tuple[bool, float]:
    """What a schedule says for a step, as plain values; ValueError when it breaks the protocol."""
    try:
        due, sparsity = schedule(step)
        due, sparsity = bool(due), float(sparsity)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"PruningCallback: schedule({step}) must give (whether to prune, sparsity): {error}"
        ) from None
    if not 0 <= sparsity <= 1:
        raise ValueError(
            f"PruningCallback: schedule({step}) must give a sparsity in [0, 1], got {sparsity}"
        )
    return due, sparsity
