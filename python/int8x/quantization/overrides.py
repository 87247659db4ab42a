"""Overrides: rules of a recipe that give some operators or tensors another treatment."""

import dataclasses
import difflib
import fnmatch
from collections.abc import Iterable
from typing import Any

from int8x.errors import RecipeError
from int8x.tflite.subgraph import Operator, Tensor

COMPUTES = ("int8", "int16x8", "int8_w4", "dynamic", "weight_only", "float16", "float")
WEIGHTS = ("per_channel", "per_tensor")
_OPERATOR_KEYS = ("compute", "weights")
_TENSOR_KEYS = ("observer", "percentile", "range")


@dataclasses.dataclass(frozen=True)
class Override:
    """One rule: what it selects, and what it sets there. Keys that are None say nothing.

    Operators are selected by all of `kind` (a TFLite name), `name` (an fnmatch pattern on the name
    of the first output) and `index` (one or several places in the operators of the prepared graph,
    as `int8x inspect` counts them) that are given; they take `compute` and `weights`. Activations
    are selected by `tensor` (an fnmatch pattern on names), or are the first outputs of the
    selected operators; they take `observer`, `percentile` and `range` = (low, high), the reals that
    the grid must hold.
    Raises RecipeError for values outside these.

    >>> Override(kind="SOFTMAX", compute="float")
    >>> Override(tensor="*/logits", range=(-20.0, 20.0))
    """

    kind: str | None = None
    name: str | None = None
    index: int | tuple[int, ...] | None = None
    tensor: str | None = None
    compute: str | None = None
    weights: str | None = None
    observer: str | None = None
    percentile: float | None = None
    range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for field in ("kind", "name", "tensor"):
            text = getattr(self, field)
            if text is not None and not isinstance(text, str):
                raise RecipeError(f"{field} must be text, got {text!r}")
        self._check_index()
        if self.compute is not None and self.compute not in COMPUTES:
            raise RecipeError(f"compute must be one of {', '.join(COMPUTES)}, got {self.compute!r}")
        if self.weights is not None and self.weights not in WEIGHTS:
            raise RecipeError(f"weights must be one of {', '.join(WEIGHTS)}, got {self.weights!r}")
        if self.range is not None:
            object.__setattr__(self, "range", _checked_range(self.range))
        by_operator = any(v is not None for v in (self.kind, self.name, self.index))
        if by_operator == (self.tensor is not None):
            raise RecipeError("a rule needs either kind, name or index, or tensor")
        if self.tensor is not None and any(getattr(self, k) is not None for k in _OPERATOR_KEYS):
            raise RecipeError("compute and weights are of operators: select by kind, name or index")
        if all(getattr(self, k) is None for k in (*_OPERATOR_KEYS, *_TENSOR_KEYS)):
            raise RecipeError(
                f"a rule must set one of {', '.join((*_OPERATOR_KEYS, *_TENSOR_KEYS))}"
            )

    def _check_index(self) -> None:
        if isinstance(self.index, list):
            object.__setattr__(self, "index", tuple(self.index))
        indices = self.index if isinstance(self.index, tuple) else (self.index,)
        for i in indices:
            if i is not None and (not isinstance(i, int) or isinstance(i, bool) or i < 0):
                raise RecipeError(f"index must be whole numbers from 0 on, got {self.index!r}")
        if self.index == ():
            raise RecipeError("index must not be empty")

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without the keys that say nothing."""
        plain = {k: v for k, v in dataclasses.asdict(self).items() if v is not None}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}

    @classmethod
    def from_dict(cls, plain: Any) -> "Override":
        """The inverse of to_dict(). Raises RecipeError for unknown keys."""
        if not isinstance(plain, dict):
            raise RecipeError(f"a rule must be a JSON object, got {type(plain).__name__}")
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(map(str, plain)) - set(known))
        if unknown:
            raise RecipeError(unknown_key(unknown[0], known))
        return cls(**plain)

    def operators(self, operators: list[Operator]) -> list[Operator]:
        """Those of the prepared graph's operators that the rule selects."""
        indices = self.index if isinstance(self.index, tuple) else (self.index,)
        return [
            op
            for i, op in enumerate(operators)
            if self.tensor is None
            and (self.kind is None or op.kind == self.kind)
            and (self.name is None or fnmatch.fnmatchcase(op.name, self.name))
            and (self.index is None or i in indices)
        ]

    def tensors(self, activations: Iterable[Tensor], selected: list[Operator]) -> list[Tensor]:
        """The float activations that the rule selects."""
        if self.tensor is None:
            firsts = {op.outputs[0] for op in selected if op.outputs}
            return [t for t in activations if t in firsts]
        return [t for t in activations if fnmatch.fnmatchcase(t.name, self.tensor)]

    @property
    def sets_tensors(self) -> bool:
        """Whether it says something about activations."""
        return any(getattr(self, key) is not None for key in _TENSOR_KEYS)


def unknown_key(key: str, known: list[str]) -> str:
    """What is wrong with a key that is none of `known`, in words."""
    near = difflib.get_close_matches(key, known, 1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"unknown key {key!r}{hint}; known are {', '.join(known)}"


def _checked_range(given: Any) -> tuple[float, float]:
    numbers = isinstance(given, (tuple, list)) and len(given) == 2
    if (
        not numbers
        or not all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in given)
        or not -3e38 < given[0] < given[1] < 3e38
    ):
        raise RecipeError(f"range must be [low, high] with low < high, got {given!r}")
    return float(given[0]), float(given[1])
