"""Measured values in an epoch's logs, before the first callback of `fit` is told of its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from int8x.keras import private


class EpochLogs:
    """Adds what `measure` gives to the logs of each epoch of a fit, for callbacks in any order.

    measure: gives values by name; is asked once an epoch, after its last step.
    """

    def __init__(self, measure: Callable[[], dict[str, float]]) -> None:
        self._measure = measure
        self._due = False
        self._names: set[str] = set()

    def begin(self, model: keras.Model) -> None:
        """To be told of the fit's begin."""
        self._due = False
        private.add_epoch_logs(model, self._once)

    def begin_epoch(self) -> None:
        """To be told of each epoch's begin."""
        self._due = True

    def end_epoch(self, logs: dict[str, Any] | None) -> None:
        """To be told of each epoch's end: measures if an evaluation within the epoch took it."""
        known = self._once()
        if logs is not None and not self._names <= set(logs):
            logs.update(known or self._measure())

    def end(self, model: keras.Model) -> None:
        """To be told of the fit's end."""
        private.restore_epoch_logs(model)

    def _once(self) -> dict[str, float]:
        if not self._due:
            return {}
        self._due = False
        values = self._measure()
        self._names = set(values)
        return values
