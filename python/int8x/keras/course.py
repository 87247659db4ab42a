"""The course of a training: observed ranges, then learned ones, then none that move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from int8x.keras.handle import Handle

_WARM_UP = 0.1  # the share of the steps in which learned ranges are first observed ...
_MOST_WARM_UP = 50  # ... but no more than so many
_WARM_UP_IF_UNKNOWN = 10


def check_share(name: str, share: Any) -> float:
    """The share as a float; ValueError unless it lies in (0, 1]."""
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= 1:
        raise ValueError(f"QATCallback: {name} must be a share in (0, 1], got {share!r}")
    return float(share)


def check_switch(who: str, name: str, value: Any) -> bool:
    """The value; ValueError unless it is true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{who}: {name} must be True or False, got {value!r}")
    return value


class Course:
    """Decides before each step what moves in it, and turns the handle's switches.

    Ranges are observed, where they are learned only in a warm-up; then learned; after
    `freeze_ranges` of the steps they stay. After `freeze_batchnorm` of the steps
    BatchNormalization's statistics stay. A share of 1 means never.
    """

    def __init__(self, handle: Handle, freeze_batchnorm: float, freeze_ranges: float) -> None:
        self.handle = handle
        self.freeze_batchnorm, self.freeze_ranges = freeze_batchnorm, freeze_ranges
        self._warm = handle.has_ranges()
        self._observed = 0  # steps
        self._begun = False
        self._optimizer: Any = None

    def begin(self, active: bool = True, optimizer: Any = None) -> bool:
        """The switches before the first step; whether any changed."""
        self._optimizer = optimizer
        observe = not (self.handle.settings.learned and self._warm)
        return self.handle.turn(active=active, observe=observe, learn=False, freeze_batchnorm=False)

    def advance(self, share: float, steps: int | None) -> bool:
        """The switches for the next step, after a share of all `steps`; whether any changed."""
        moving = share < self.freeze_ranges or self.freeze_ranges == 1
        if self.handle.settings.learned:
            if not self._begun and moving and self._observed >= self._warm_up(steps):
                self._begun = self.handle.begin_learning(self._optimizer)
            if not moving:
                self.handle.end_learning(self._optimizer)
            self._observed += 1
        return self.handle.turn(
            observe=moving and not self._begun,
            learn=moving and self._begun,
            freeze_batchnorm=share >= self.freeze_batchnorm and self.freeze_batchnorm < 1,
        )

    def end(self, active: bool = True) -> bool:
        """The switches after the last step; whether any changed."""
        self.handle.end_learning(self._optimizer)
        return self.handle.turn(active=active, observe=False, learn=False, freeze_batchnorm=False)

    def _warm_up(self, steps: int | None) -> int:
        if self._warm:
            return 0
        return min(max(int(steps * _WARM_UP), 1), _MOST_WARM_UP) if steps else _WARM_UP_IF_UNKNOWN
