"""Recipes: what a model shall become, as plain data that is saved beside it."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from int8x.errors import RecipeError
from int8x.quantization.overrides import COMPUTES, WEIGHTS, Override, unknown_key
from int8x.quantization.range_choice import OBSERVERS

_CHOICES = {
    "compute": COMPUTES,
    "weights": WEIGHTS,
    "io": ("int8", "uint8", "int16", "float"),
    "observer": OBSERVERS,
}
IF_BETTER = "if_better"
# Computes whose activations are integers: they need ranges.
_INTEGER = ("int8", "int16x8", "int8_w4")
_SWITCHES = ("allow_float", "bias_correction", "adaround", "range_search", "auto")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to quantize.

    name: the preset it came from. compute: how operators compute, which `overrides` change for
    some; "" takes it from the name. "int8"; "int16x8", int16 activations and int8 weights;
    "int8_w4", int8 activations and INT4 weights; "dynamic", int8 weights in TFLite's hybrid kernels
    (float activations); "weight_only" and "float16", weights stored so and computed in float; or
    "float".
    weights: "per_channel" or "per_tensor" (symmetric, [-127, 127], INT4 [-7, 7]).
    io: type of the model's inputs and outputs, "int8", "uint8", "int16" or "float"; "" takes int16
    for int16x8, int8 for the other integer computes, else float.
    observer: how an activation's range follows from its statistics: "minmax"; "average", the mean
    of each sample's min and max; "percentile", which leaves out 100 - `percentile` percent of the
    values; "mse", of least squared error; "entropy", of least Kullback-Leibler divergence; or
    "moving_average", exponential in the order of the samples, with `momentum` in [0, 1).
    allow_float: leave operators without an int8 form in float, behind DEQUANTIZE and QUANTIZE,
    instead of refusing.
    overrides: rules (Override, or plain data), applied in order; later ones win.
    equalize, bias_correction, adaround, range_search: accuracy methods (int8x.methods), each kept
    where outputs come closer on samples; where only statistics are given, they are left out.
    `equalize` true is a pass of calibrate() as well, which then is not judged; with "if_better"
    calibrate() sees the model as it is.
    auto: find the operators that must compute in int16x8 (or float, with allow_float) for the
    outputs to reach `target_sqnr` in dB, or for accuracy to fall by at most `max_drop` points.
    Defaults are plain: min/max ranges and no method; PRESETS hold what is recommended.
    Raises RecipeError for a value outside these.

    >>> Recipe(observer="percentile", percentile=99.9)
    >>> Recipe("int16x8", overrides=({"kind": "SOFTMAX", "compute": "float"},))
    """

    name: str = "int8"
    compute: str = ""
    weights: str = "per_channel"
    io: str = ""
    observer: str = "minmax"
    percentile: float = 99.99
    momentum: float = 0.95
    allow_float: bool = False
    overrides: tuple[Override, ...] = ()
    equalize: bool | str = False
    bias_correction: bool = False
    adaround: bool = False
    range_search: bool = False
    auto: bool = False
    target_sqnr: float | None = None
    max_drop: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise RecipeError(f"recipe: name must be text, got {self.name!r}")
        if self.compute == "":
            object.__setattr__(self, "compute", self.name if self.name in COMPUTES else "int8")
        if self.io == "":
            io = "int16" if self.compute == "int16x8" else "int8"
            object.__setattr__(self, "io", io if self.compute in _INTEGER else "float")
        for field, allowed in _CHOICES.items():
            if getattr(self, field) not in allowed:
                raise RecipeError(
                    f"recipe: {field} must be one of {', '.join(allowed)}, got "
                    f"{getattr(self, field)!r}"
                )
        _check_percentile(self.percentile)
        for field in _SWITCHES:
            if not isinstance(getattr(self, field), bool):
                raise RecipeError(
                    f"recipe: {field} must be true or false, got {getattr(self, field)!r}"
                )
        if not isinstance(self.equalize, bool) and self.equalize != IF_BETTER:
            raise RecipeError(
                f"recipe: equalize must be true, false or if_better, got {self.equalize!r}"
            )
        for field in ("target_sqnr", "max_drop"):
            _check_target(field, getattr(self, field))
        if not isinstance(self.momentum, (int, float)) or not 0 <= self.momentum < 1:
            raise RecipeError(f"recipe: momentum must lie in [0, 1), got {self.momentum!r}")
        if not isinstance(self.overrides, (tuple, list)):
            raise RecipeError(
                f"recipe: overrides must be a list of rules, got {type(self.overrides).__name__}"
            )
        rules = tuple(_rule(i, plain) for i, plain in enumerate(self.overrides))
        object.__setattr__(self, "overrides", rules)

    @property
    def needs_ranges(self) -> bool:
        """Whether any activation can become an integer."""
        computes = {self.compute, *(rule.compute for rule in self.overrides)}
        return self.io != "float" or not computes.isdisjoint(_INTEGER)

    def observes(self, observer: str) -> bool:
        """Whether any activation gets its range by `observer`."""
        return observer in {self.observer, *(rule.observer for rule in self.overrides)}

    def to_json(self) -> str:
        """The recipe as JSON text, one key a line."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        plain["overrides"] = [rule.to_dict() for rule in self.overrides]
        return json.dumps(plain, indent=2) + "\n"

    @classmethod
    def from_dict(cls, plain: Any, origin: str = "recipe") -> "Recipe":
        """A recipe from plain data; keys left out have Recipe's defaults. Raises RecipeError for
        unknown keys.
        """
        if not isinstance(plain, dict):
            raise RecipeError(
                f"{origin}: a recipe must be a JSON object, got {type(plain).__name__}"
            )
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(plain) - set(known))
        if unknown:
            raise RecipeError(f"{origin}: {unknown_key(unknown[0], known)}")
        try:
            return cls(**plain)
        except RecipeError as error:
            raise RecipeError(f"{origin}: {str(error).removeprefix('recipe: ')}") from None

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Recipe":
        """Reads a recipe file."""
        try:
            plain = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise RecipeError(f"{path}: not JSON: {error}") from None
        return cls.from_dict(plain, str(path))


def _rule(number: int, plain: Any) -> Override:
    """Rule `number` of a recipe, checked."""
    try:
        rule = plain if isinstance(plain, Override) else Override.from_dict(plain)
        if rule.observer is not None and rule.observer not in _CHOICES["observer"]:
            raise RecipeError(
                f"observer must be one of {', '.join(_CHOICES['observer'])}, got {rule.observer!r}"
            )
        if rule.percentile is not None:
            _check_percentile(rule.percentile)
    except RecipeError as error:
        told = str(error).removeprefix("recipe: ")
        raise RecipeError(f"recipe: overrides[{number}]: {told}") from None
    return rule


def _check_target(field: str, given: Any) -> None:
    if given is None:
        return
    number = isinstance(given, (int, float)) and not isinstance(given, bool)
    if not number or not 0 <= given <= 200:
        raise RecipeError(f"recipe: {field} must lie in [0, 200], got {given!r}")


def _check_percentile(percentile: Any) -> None:
    if not isinstance(percentile, (int, float)) or not 50 < percentile <= 100:
        raise RecipeError(f"recipe: percentile must lie in (50, 100], got {percentile!r}")


# What is best without a choice for each model (docs/quantization.md); "minmax" is plain int8.
PRESETS: dict[str, Recipe] = {
    **{name: Recipe(name) for name in COMPUTES if name != "float"},
    "int8": Recipe("int8", observer="mse", equalize=IF_BETTER, bias_correction=True),
    "int16x8": Recipe("int16x8", equalize=IF_BETTER, bias_correction=True),
    "int8_w4": Recipe(
        "int8_w4", observer="mse", equalize=IF_BETTER, adaround=True, bias_correction=True
    ),
    "minmax": Recipe("minmax"),
    "auto": Recipe("auto", auto=True, range_search=True, bias_correction=True),
}


def resolve(recipe: str | os.PathLike | dict | Recipe) -> Recipe:
    """A Recipe from the name of a preset, the path of a recipe file, plain data, or a Recipe."""
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, dict):
        return Recipe.from_dict(recipe)
    if isinstance(recipe, str) and recipe in PRESETS:
        return PRESETS[recipe]
    if isinstance(recipe, (str, os.PathLike)) and Path(recipe).is_file():
        return Recipe.load(recipe)
    raise RecipeError(
        f"recipe {str(recipe)!r} is neither a file nor one of the presets: {', '.join(PRESETS)}"
    )
