"""Recipes: what a model shall become, as plain data that is saved beside it."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from int8x.errors import RecipeError

_CHOICES = {
    "weights": ("per_channel", "per_tensor"),
    "io": ("int8", "uint8", "float"),
    "observer": ("minmax", "average", "percentile"),
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to quantize.

    name: the preset it came from. weights: "per_channel" or "per_tensor" (symmetric, [-127, 127]).
    io: type of the model's inputs and outputs, "int8", "uint8" or "float".
    observer: how an activation's range follows from its statistics: "minmax"; "average", the mean
    of each sample's min and max; or "percentile", which leaves out 100 - `percentile` percent of
    the values.
    allow_float: leave operators without an int8 form in float, behind DEQUANTIZE and QUANTIZE,
    instead of refusing.
    Raises RecipeError for a value outside these.

    >>> Recipe(observer="percentile", percentile=99.9)
    """

    name: str = "int8"
    weights: str = "per_channel"
    io: str = "int8"
    observer: str = "minmax"
    percentile: float = 99.99
    allow_float: bool = False

    def __post_init__(self) -> None:
        for field, allowed in _CHOICES.items():
            if getattr(self, field) not in allowed:
                raise RecipeError(
                    f"recipe: {field} must be one of {', '.join(allowed)}, got "
                    f"{getattr(self, field)!r}"
                )
        if not isinstance(self.percentile, (int, float)) or not 50 < self.percentile <= 100:
            raise RecipeError(f"recipe: percentile must lie in (50, 100], got {self.percentile!r}")
        if not isinstance(self.allow_float, bool):
            raise RecipeError(
                f"recipe: allow_float must be true or false, got {self.allow_float!r}"
            )
        if not isinstance(self.name, str):
            raise RecipeError(f"recipe: name must be text, got {self.name!r}")

    def to_json(self) -> str:
        """The recipe as JSON text, one key a line."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_dict(cls, plain: Any, origin: str = "recipe") -> "Recipe":
        """A recipe from plain data; keys left out keep their defaults. Raises RecipeError for
        unknown keys.
        """
        if not isinstance(plain, dict):
            raise RecipeError(
                f"{origin}: a recipe must be a JSON object, got {type(plain).__name__}"
            )
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(plain) - set(known))
        if unknown:
            raise RecipeError(f"{origin}: unknown key {unknown[0]!r}; known are {', '.join(known)}")
        return cls(**plain)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Recipe":
        """Reads a recipe file."""
        try:
            plain = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise RecipeError(f"{path}: not JSON: {error}") from None
        return cls.from_dict(plain, str(path))


PRESETS: dict[str, Recipe] = {"int8": Recipe()}


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
