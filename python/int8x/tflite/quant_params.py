"""QuantParams: how integers of one tensor stand for reals, and where that was decided."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class QuantParams:
    """real = (q - zero_point) * scale, with q a signed integer of `bits` bits.

    scale: positive float, or one per channel along `axis`; kept as float32 values.
    zero_point: integer, or one per channel; a single one serves all channels.
    axis: None for one scale for the whole tensor.
    source: where the values come from, in words ("given", "qat", "minmax of 100 samples", "fixed by
    TFLite", ...).
    Raises ValueError for a scale that is not positive and finite, or lengths that do not agree.

    >>> QuantParams(0.5, -128)
    QuantParams(scale=0.5, zero_point=-128, axis=None, bits=8, source='given')
    """

    scale: Any
    zero_point: Any = 0
    axis: int | None = None
    bits: int = 8
    source: str = "given"

    def __post_init__(self) -> None:
        scales = np.asarray(self.scale, np.float64).astype(np.float32)
        zeros = np.asarray(self.zero_point)
        if zeros.dtype.kind not in "iu" and not np.array_equal(zeros, np.round(zeros)):
            raise ValueError(f"zero_point must be an integer, got {self.zero_point!r}")
        if not scales.size or not np.all(np.isfinite(scales)) or not np.all(scales > 0):
            raise ValueError(f"scale must be positive and finite in float32, got {self.scale!r}")
        if self.axis is None and (scales.ndim or zeros.ndim):
            if scales.size != 1 or zeros.size != 1:
                raise ValueError(f"{scales.size} scales need an axis, got axis=None")
            scales, zeros = scales.reshape(()), zeros.reshape(())
        if self.axis is not None:
            scales = scales.reshape(-1)
            zeros = (
                np.broadcast_to(zeros.reshape(-1), scales.shape)
                if zeros.size == 1
                else zeros.reshape(-1)
            )
            if len(zeros) != len(scales):
                raise ValueError(
                    f"{len(scales)} scales need as many zero_points, or one, got {len(zeros)}"
                )
        object.__setattr__(self, "scale", _plain(scales, float))
        object.__setattr__(self, "zero_point", _plain(zeros, int))
        object.__setattr__(self, "bits", int(self.bits))

    @property
    def scales(self) -> np.ndarray:
        """The scales as a float32 array: one element, or one per channel."""
        return np.atleast_1d(np.asarray(self.scale, np.float32))

    @property
    def zero_points(self) -> np.ndarray:
        """The zero points as an int64 array, as long as `scales`."""
        return np.atleast_1d(np.asarray(self.zero_point, np.int64))

    def same_grid(self, other: "QuantParams") -> bool:
        """Whether both map integers to the same reals (source is not compared)."""
        return (self.scale, self.zero_point, self.axis, self.bits) == (
            other.scale,
            other.zero_point,
            other.axis,
            other.bits,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data; from_json() gives an equal QuantParams back, bit for bit."""
        return {
            field.name: _listed(getattr(self, field.name)) for field in dataclasses.fields(self)
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "QuantParams":
        """The inverse of to_json(). Raises ValueError or TypeError for anything else."""
        known = {field.name for field in dataclasses.fields(cls)}
        if set(plain) - known:
            raise ValueError(
                f"unknown keys {sorted(set(plain) - known)} in quantization parameters"
            )
        return cls(**plain)


def from_range(low: float, high: float, source: str, bits: int = 8) -> QuantParams:
    """TFLite's grid over [min(low, 0), max(high, 0)], on which real zero lies exactly.

    8 bits, asymmetric: scale = (high - low) / 255 rounded to float32; zero_point =
    round_half_away(-128 - low / scale), in [-128, 127]. 16 bits, symmetric: scale = max(-low, high)
    / 32767 and zero_point = 0. A range of zero width becomes scale 1 (every value is zero); a scale
    below 2^-80 is raised to it, so that products of scales stay normal float32 numbers.
    """
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    if low == high:
        return QuantParams(1.0, 0, bits=bits, source=source)
    if bits == 16:
        width, steps = max(-low, high), 2**15 - 1
    else:
        width, steps = high - low, 2**bits - 1
    scale = float(np.float32(min(max(width / steps, 2.0**-80), 3e38)))
    if bits == 16:
        return QuantParams(scale, 0, bits=bits, source=source)
    bottom = -(2 ** (bits - 1))
    exact = bottom - low / scale
    zero_point = int(math.copysign(math.floor(abs(exact) + 0.5), exact))
    return QuantParams(
        scale, min(max(zero_point, bottom), bottom + steps), bits=bits, source=source
    )


def real_range(params: QuantParams) -> tuple[float, float]:
    """The smallest and largest real that a one-scale grid holds."""
    bottom = -(2 ** (params.bits - 1))
    return (bottom - params.zero_point) * params.scale, (
        -bottom - 1 - params.zero_point
    ) * params.scale


def _plain(array: np.ndarray, kind: type) -> Any:
    return kind(array) if array.ndim == 0 else tuple(kind(x) for x in array)


def _listed(field: Any) -> Any:
    return list(field) if isinstance(field, tuple) else field
