"""Random scales, zero points and values chosen to hurt: powers of two, exact ties, saturation,
extreme zero points.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
# Ratios output scale / (input scale * weight scale). Powers of two and 6 put many accumulators
# exactly half way.
TIE_RATIOS = (1.0, 2.0, 4.0, 256.0, 3.0, 6.0, 0.5)


@dataclass(frozen=True)
class Draw:
    """A seeded source of test values; the seed is part of every case's name."""

    seed: int
    rng: np.random.Generator = field(init=False)
    shift: ClassVar[int] = 0  # added to every seed: a long run sets it, to see other cases

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", self.seed + Draw.shift)
        object.__setattr__(self, "rng", np.random.default_rng(self.seed))

    def pick(self, *choices):
        return choices[int(self.rng.integers(len(choices)))]

    def size(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def scale(self, low: float = 1e-4, high: float = 1.0) -> np.float32:
        kind = self.size(0, 3)
        if kind == 0:
            return np.float32(2.0 ** self.size(int(np.ceil(np.log2(low))), int(np.log2(high))))
        if kind == 1:
            return np.float32(min(max(self.size(1, 20) / 255.0, low), high))
        return np.float32(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def zero_point(self) -> int:
        """Both ends in a quarter of the draws, near zero in half."""
        return self.pick(
            -128,
            127,
            0,
            0,
            self.size(-128, 127),
            self.size(-128, 127),
            self.size(-20, 20),
            self.size(-20, 20),
        )

    def activation(self) -> str:
        return self.pick("NONE", "NONE", "NONE", *ACTIVATIONS)

    def values(self, shape: tuple[int, ...], low: int = -128, high: int = 127) -> np.ndarray:
        """int8 values, in a third of the draws mostly from the edges of the range."""
        values = self.rng.integers(low, high + 1, shape)
        if self.chance(0.3):
            edges = self.rng.choice([low, low + 1, -1, 0, 1, high - 1, high], shape)
            values = np.where(self.rng.random(shape) < 0.5, values, edges)
        return values.astype(np.int8)

    def output_scale(self, product: np.ndarray, peak: float) -> np.float32:
        """For a sum of products in units of `product` that reaches `peak`: spread out, tied or
        saturating on purpose.
        """
        unit = float(np.max(product))
        kind = self.size(0, 9)
        if kind == 0:
            return np.float32(float(np.ravel(product)[0]) * self.pick(*TIE_RATIOS))
        if kind == 1:
            return np.float32(max(unit * peak / 127 / self.pick(4, 20, 100), unit / 64))
        if kind < 4:
            return np.float32(
                float(np.ravel(product)[0]) * 2.0 ** np.round(np.log2(max(peak, 1.0) / 127))
            )
        return np.float32(unit * max(peak, 1.0) / 127 * np.exp(self.rng.uniform(-1.2, 0.6)))
