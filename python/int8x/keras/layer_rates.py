"""Learning rates by layer: factors on the step that an optimizer takes.

The factor multiplies the learning rate that the optimizer's update of a variable is given (and its
weight decay), not the gradient: Adam divides a gradient's factor out again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from int8x.keras import private

_RATES = "_int8x_rates"


class LayerRates:
    """What an optimizer does differently by variable: a factor, and when it was first updated.

    variable <- variable - factor * learning_rate * step(gradient, moments, t - first). Adam's
    corrections of its moments (arXiv:1412.6980) take the steps since a variable's first update as
    t; with the optimizer's own count a layer that is unfrozen late would take steps that are up to
    six times too long, its moments being as young as they are. Files do not hold these counts: in a
    model that was loaded every variable counts as the optimizer does.
    """

    def __init__(self) -> None:
        self.owner: Any = None  # the callback whose fit this is
        self._factors: dict[Any, float] = {}
        self._first: dict[Any, int] = {}
        self._still: set[Any] = set()  # what the optimizer knows and has never updated
        self._stood = 0  # the optimizer's count when the last fit ended

    def begin(self, optimizer: Any, factors: Iterable[tuple[keras.Layer, float]]) -> None:
        """Each variable of each layer gets the layer's factor; those of other layers 1."""
        key = private.variable_key(optimizer)
        self._factors = {key(v): factor for layer, factor in factors for v in layer.variables}
        done = private.updates_done(optimizer)
        if done != self._stood:  # who knows what another fit has updated
            self._still = set()
        elif not done:
            self._still = private.known_variables(optimizer)
        private.patch_updates(optimizer, self._factor, self._first_of)

    def end(self, optimizer: Any) -> None:
        """Every factor is 1 again."""
        self._factors, self._stood = {}, private.updates_done(optimizer)

    def adopt(self, model: keras.Model, optimizer: Any) -> None:
        """Tells an optimizer under way of variables that were unfrozen; it keeps what it knows."""
        known, key = private.known_variables(optimizer), private.variable_key(optimizer)
        learning = {key(v) for v in model.trainable_variables}
        private.adopt_variables(model, optimizer)
        for new in learning - (known - self._still) if known else ():
            self._first.setdefault(new, private.updates_done(optimizer))
        self._still -= learning

    def _factor(self, key: Any) -> float:
        return self._factors.get(key, 1.0)

    def _first_of(self, key: Any) -> int:
        return self._first.get(key, 0)


def rates_of(optimizer: Any) -> LayerRates:
    """The rates of an optimizer; made when it has none yet."""
    rates = vars(optimizer).get(_RATES)
    if rates is None:
        rates = LayerRates()
        object.__setattr__(optimizer, _RATES, rates)
    return rates
