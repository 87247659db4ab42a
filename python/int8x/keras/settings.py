"""How a model is trained for its integer file: QATCallback's arguments that outlive the fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from int8x.keras.prunable import check_exclude

_CHOICES: dict[str, tuple[Any, ...]] = {
    "weights": ("per_channel", "per_tensor"),
    "weight_bits": (8, 4),
    "activation_bits": (8, 16),
    "ranges": ("average", "lsq"),
}


@dataclass(frozen=True)
class Settings:
    """Grids of weights and activations, how ranges are found, and which layers stay float.

    eight_bits: names of layers that keep 8-bit weights where `weight_bits` is 4. ValueError for a
    value outside these.

    >>> Settings(weight_bits=4).compute
    'int8_w4'
    """

    weights: str = "per_channel"
    weight_bits: int = 8
    activation_bits: int = 8
    ranges: str = "average"
    exclude: tuple[Any, ...] = ()
    eight_bits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or value not in allowed:
                told = " or ".join(map(repr, allowed))
                raise ValueError(f"QATCallback: {name} must be {told}, got {value!r}")
        if self.weight_bits == 4 and self.activation_bits == 16:
            raise ValueError(
                "QATCallback: weight_bits 4 goes with activation_bits 8: TFLite's int16 kernels "
                "take int8 weights"
            )
        object.__setattr__(self, "exclude", check_exclude(self.exclude, "QATCallback"))

    @property
    def per_tensor(self) -> bool:
        """Whether a kernel has one scale for all its channels."""
        return self.weights == "per_tensor"

    def bits_of(self, layer: str) -> int:
        """The bits of a layer's weights, by its name."""
        return 8 if layer in self.eight_bits else self.weight_bits

    @property
    def learned(self) -> bool:
        """Whether the optimizer moves scales and ranges."""
        return self.ranges == "lsq"

    @property
    def compute(self) -> str:
        """The recipe's name for it."""
        if self.activation_bits == 16:
            return "int16x8"
        return "int8_w4" if self.weight_bits == 4 else "int8"
