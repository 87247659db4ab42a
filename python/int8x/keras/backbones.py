"""Which layers of a model are its pretrained backbone, and which of them learn when.

A backbone's parts are its layers from input to output, those of nested models among them. What is
counted are parts with weights that are not BatchNormalization; every other part goes with the one
before it.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from int8x.keras import private

_WHO = "TransferLearningCallback"
_DEFAULT = ((0.25, 0.5), (0.5, "all"))


@dataclass(frozen=True)
class TransferSettings:
    """When which part of a backbone learns, and how fast; see TransferLearningCallback.

    ValueError for a value that makes no sense. `unfreeze` is kept as pairs of (when, what).

    >>> TransferSettings(unfreeze={2: 3}).unfreeze
    ((2, 3),)
    """

    unfreeze: Any = _DEFAULT
    rates: Any = 0.1
    decay: float = 1.0
    freeze_bn: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "unfreeze", _checked_unfreeze(self.unfreeze))
        rates = self.rates
        if isinstance(rates, Mapping):
            rates = {str(name): check_factor(repr(name), rate) for name, rate in rates.items()}
        else:
            rates = check_factor("rates", rates)
        object.__setattr__(self, "rates", rates)
        object.__setattr__(self, "decay", check_factor("decay", self.decay))
        if not isinstance(self.freeze_bn, bool):
            raise ValueError(f"{_WHO}: freeze_bn must be True or False, got {self.freeze_bn!r}")

    def config(self) -> dict[str, Any]:
        """The arguments as JSON can hold them."""
        return {**vars(self), "unfreeze": [list(pair) for pair in self.unfreeze]}

    def check_length(self, epochs: int) -> None:
        """ValueError when a part is to be unfrozen after the fit has ended."""
        for when, what in self.unfreeze:
            if isinstance(when, int) and when >= epochs:
                raise ValueError(
                    f"{_WHO}: unfreeze: {what!r} from epoch {when} on was wanted, "
                    f"got a fit that ends before epoch {epochs}"
                )


def check_factor(name: str, factor: Any) -> float:
    """The factor of a learning rate as a float; ValueError unless finite and not negative."""
    number = isinstance(factor, (int, float)) and not isinstance(factor, bool)
    if not number or not 0 <= factor < math.inf:
        raise ValueError(f"{_WHO}: {name}: a factor of at least 0 was wanted, got {factor!r}")
    return float(factor)


def _checked_unfreeze(unfreeze: Any) -> tuple[tuple[int | float, Any], ...]:
    pairs = unfreeze.items() if isinstance(unfreeze, Mapping) else unfreeze
    try:
        stages = [(when, what) for when, what in (pairs or ())]
    except (TypeError, ValueError):
        raise ValueError(
            f"{_WHO}: unfreeze must be a dict from epoch or share of the fit to layers, "
            f"got {unfreeze!r}"
        ) from None
    return tuple((_checked_when(when), _checked_what(what)) for when, what in stages)


def _checked_when(when: Any) -> int | float:
    epoch = isinstance(when, int) and not isinstance(when, bool) and when >= 0
    if not epoch and not (isinstance(when, float) and 0 <= when < 1):
        raise ValueError(
            f"{_WHO}: unfreeze: an epoch from 0 or a share of the fit in [0.0, 1.0) was wanted, "
            f"got {when!r}"
        )
    return when


def _checked_what(what: Any) -> Any:
    if isinstance(what, (list, tuple)) and what and all(isinstance(name, str) for name in what):
        return tuple(what)
    count = isinstance(what, int) and not isinstance(what, bool) and what >= 1
    share = isinstance(what, float) and 0 < what <= 1
    if not isinstance(what, str) and not count and not share:
        raise ValueError(
            f"{_WHO}: unfreeze: 'all', a number of last layers, a share of them in (0.0, 1.0], "
            f"or names and patterns were wanted, got {what!r}"
        )
    return what


def parts(layer: keras.Layer) -> list[keras.Layer]:
    """A layer's own layers from input to output, through nested models and wrappers.

    >>> [part.name for part in parts(keras.Sequential([keras.layers.Dense(2, name="a")]))]
    ['a']
    """
    if isinstance(layer, keras.Model):
        return [part for one in layer.layers for part in parts(one)]
    return parts(layer.layer) if isinstance(layer, keras.layers.Wrapper) else [layer]


class Backbone:
    """The backbone in a model, and the rules for it.

    containers: the models around its parts, outermost first.
    """

    def __init__(
        self, model: keras.Model, roots: Iterable[keras.Layer], settings: TransferSettings
    ) -> None:
        roots = list(roots)
        self.settings = settings
        self.parts = list({id(part): part for root in roots for part in parts(root)}.values())
        self.containers = [
            layer
            for layer in [model, *private.all_layers(model)]
            if isinstance(layer, (keras.Model, keras.layers.Wrapper))
            and any(_within(part, layer) for part in self.parts)
        ]
        counted = [_counts(part) for part in self.parts]
        self.count = sum(counted)
        if not self.count:
            names = ", ".join(root.name for root in roots)
            raise ValueError(f"{_WHO}: backbone: layers with weights were wanted, got {names}")
        self.from_top: list[int] = []  # of each part: how many counted parts come after its own
        after = self.count
        for counts in counted:
            after -= counts
            self.from_top.append(min(after, self.count - 1))
        for _, what in settings.unfreeze:
            self._chosen(what)  # refuses what fits nothing

    def unfrozen(self, epoch: float, share: float) -> list[bool]:
        """Of each part whether it learns in an epoch, after a share of the fit."""
        due = [
            self._chosen(what)
            for when, what in self.settings.unfreeze
            if (epoch >= when if isinstance(when, int) else share >= when)
        ]
        learns = (
            [any(each) for each in zip(*due, strict=True)] if due else [False] * len(self.parts)
        )
        return [on and not self._still(p) for on, p in zip(learns, self.parts, strict=True)]

    def set_trainable(self, learns: list[bool]) -> None:
        """Freezes and unfreezes the parts."""
        for layer in self.containers:
            private.allow_training(layer)
        for part, on in zip(self.parts, learns, strict=True):
            private.set_trainable(part, on)

    def learning(self) -> int:
        """How many of the counted parts learn now."""
        return sum(_counts(part) and part.trainable for part in self.parts)

    def factors(self, model: keras.Model) -> list[tuple[keras.Layer, float]]:
        """(layer, factor) of every layer whose learning rate is not the optimizer's own."""
        rates, decay = self.settings.rates, self.settings.decay
        base = rates if isinstance(rates, float) else 1.0
        found = {
            id(part): (part, base * decay**depth)
            for part, depth in zip(self.parts, self.from_top, strict=True)
        }
        for pattern, rate in rates.items() if isinstance(rates, dict) else ():
            fitting = [one for one in private.all_layers(model) if _named(one, pattern)]
            if not fitting:
                raise ValueError(
                    f"{_WHO}: rates: no layer of {model.name} fits {pattern!r}; it has "
                    f"{_names(private.all_layers(model))}"
                )
            for layer in (part for one in fitting for part in parts(one)):
                depth = self.from_top[self.parts.index(layer)] if layer in self.parts else 0
                found[id(layer)] = (layer, rate * decay**depth)
        return list(found.values())

    def _chosen(self, what: Any) -> list[bool]:
        """Of each part whether `what` names it."""
        if what == "all":
            return [True] * len(self.parts)
        if isinstance(what, (int, float)):
            count = what if isinstance(what, int) else math.ceil(what * self.count)
            if count > self.count:
                raise ValueError(
                    f"{_WHO}: unfreeze: at most the backbone's {self.count} layers with weights "
                    f"were wanted, got {count}"
                )
            return [after < count for after in self.from_top]
        patterns = (what,) if isinstance(what, str) else what
        for pattern in patterns:
            if not any(_named(part, pattern) for part in self.parts):
                raise ValueError(
                    f"{_WHO}: unfreeze: no layer of the backbone fits {pattern!r}; it has "
                    f"{_names(self.parts)}"
                )
        return [any(_named(part, pattern) for pattern in patterns) for part in self.parts]

    def _still(self, part: keras.Layer) -> bool:
        return self.settings.freeze_bn and _is_norm(part)


def find(model: keras.Model, backbone: Any) -> list[keras.Layer]:
    """The layers of a model that `backbone` names: None, a layer or model, a name or pattern, or a
    sequence of these.

    None means the one model nested in it. A model that is itself no part of this one stands for its
    layers, as when a new head was built on its output. ValueError when there is nothing such.
    """
    layers = private.all_layers(model)
    if backbone is None:
        nested = [layer for layer in layers if isinstance(layer, keras.Model)]
        outer = [one for one in nested if not any(_within(one, other) for other in nested)]
        if len(outer) != 1:
            came = ", ".join(layer.name for layer in outer) or "none"
            raise ValueError(
                f"{_WHO}: backbone: {model.name} has not one nested model ({came}): "
                "name the backbone or give its layers"
            )
        return outer
    entries = backbone if isinstance(backbone, (list, tuple)) else [backbone]
    found = [layer for entry in entries for layer in _fitting(model, layers, entry)]
    if not found:
        raise ValueError(f"{_WHO}: backbone: layers were wanted, got {backbone!r}")
    return found


def _fitting(model: keras.Model, layers: list[keras.Layer], entry: Any) -> list[keras.Layer]:
    known = {id(layer) for layer in layers}
    if isinstance(entry, str):
        found = [layer for layer in layers if _named(layer, entry)]
    elif isinstance(entry, keras.Layer) and id(entry) in known:
        found = [entry]
    elif isinstance(entry, keras.Model) and entry is not model:
        found = [part for part in parts(entry) if id(part) in known]
    else:
        found = []
    if not found:
        shown = repr(entry) if isinstance(entry, str) else getattr(entry, "name", repr(entry))
        raise ValueError(
            f"{_WHO}: backbone: no layer of {model.name} is {shown}; it has {_names(layers)}"
        )
    return found


def _within(layer: keras.Layer, other: keras.Layer) -> bool:
    return any(layer is inner for inner in private.all_layers(other))


def _is_norm(part: keras.Layer) -> bool:
    return isinstance(part, keras.layers.BatchNormalization)


def _counts(part: keras.Layer) -> bool:
    return bool(private.own_weights(part)) and not _is_norm(part)


def _named(layer: keras.Layer, pattern: str) -> bool:
    return layer.name == pattern or fnmatch.fnmatchcase(layer.name, pattern)


def _names(layers: list[keras.Layer]) -> str:
    return ", ".join(layer.name for layer in layers if layer.weights)
