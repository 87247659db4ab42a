"""What calibration keeps of one tensor: frozen, exact, mergeable."""

import dataclasses
import functools
import math
from fractions import Fraction
from typing import Any

import numpy as np

from int8x import _native
from int8x.calibration.density import density_of

BINS, LIMBS = _native.HISTOGRAM_BINS, _native.EXACT_LIMBS

_Channels = tuple[np.ndarray, np.ndarray, np.ndarray]  # min, max, exact sums of each


@dataclasses.dataclass(frozen=True)
class MovingRange:
    """An exponential moving average of each sample's min and of its max, in sample order: the first
    sample's, then momentum * average + (1 - momentum) * sample, in double.
    """

    momentum: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True, eq=False)
class TensorStats:
    """Statistics of one float tensor over samples; all but `moving` a function of the set of
    samples alone.

    samples, count: how many samples and elements were seen. min, max: over all elements.
    bins: int64[65536]; bin b counts the x whose upper 16 bits, as float32, are b.
    sample_sums: exact sums (see exact_value) of each sample's min and of its max, int64[2, 12].
    channel_min, channel_max: float32 per last-axis channel; channel_sums: exact, int64[channels,
    12]. Empty when the number of channels changed between samples. moving: only where a recipe
    asked for it.
    """

    samples: int
    count: int
    min: float
    max: float
    bins: np.ndarray
    sample_sums: np.ndarray
    channel_min: np.ndarray
    channel_max: np.ndarray
    channel_sums: np.ndarray
    moving: MovingRange | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorStats):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name))
            for f in dataclasses.fields(self)
        )

    @functools.cached_property
    def memo(self) -> dict[Any, tuple[float, float]]:
        """Ranges that range_choice has worked out from these statistics."""
        return {}

    def mean_range(self) -> tuple[float, float]:
        """The mean of each sample's min, and of each one's max; the division rounds once."""
        low, high = (exact_value(limbs) / self.samples for limbs in self.sample_sums)
        return float(low), float(high)

    def percentile_range(self, share: float) -> tuple[float, float]:
        """The narrowest bin edges outside which at most 1 - share (in percent: 100 - share) of the
        elements lie, half of them on each side, never wider than [min, max]. share in percent, in
        (50, 100].
        """
        outside = self.count * (100.0 - share) / 200.0
        density = density_of(self)
        cumulative = np.cumsum(density.count)
        first = int(np.searchsorted(cumulative, outside, side="right"))
        last = int(np.searchsorted(cumulative, self.count - outside, side="left"))
        return float(density.low[first]), float(density.high[last])

    def channel_means(self) -> np.ndarray:
        """The mean of each channel over all samples and positions, float64[channels]."""
        per_channel = self.count // max(len(self.channel_sums), 1)
        return np.array([float(exact_value(limbs) / per_channel) for limbs in self.channel_sums])


def empty() -> TensorStats:
    """The statistics of no sample: what merge() leaves any other unchanged by."""
    bins, sample_sums = np.zeros(BINS, np.int64), np.zeros((2, LIMBS), np.int64)
    return TensorStats(0, 0, math.inf, -math.inf, bins, sample_sums, *_no_channels(0))


def _copied(stats: TensorStats) -> TensorStats:
    """The same with arrays of its own."""
    arrays: Any = {k: v.copy() for k, v in vars(stats).items() if isinstance(v, np.ndarray)}
    return dataclasses.replace(stats, **arrays)


def exact_value(limbs: np.ndarray) -> Fraction:
    """The number that an exact sum holds: 2^-149 times the sum of limbs[i] * 2^(32 i)."""
    return Fraction(sum(int(limb) << (32 * i) for i, limb in enumerate(limbs)), 1 << 149)


def merge(a: TensorStats, b: TensorStats) -> TensorStats:
    """The statistics of both sets of samples together, without moving averages; commutative and
    associative, bit for bit.
    """
    if not a.samples or not b.samples:
        return a if a.samples else b
    sample_sums = a.sample_sums.copy()
    _native.merge_exact_sums(b.sample_sums, sample_sums)
    if len(a.channel_min) == len(b.channel_min):
        channel_min, channel_max = (
            np.minimum(a.channel_min, b.channel_min),
            np.maximum(a.channel_max, b.channel_max),
        )
        channel_sums = a.channel_sums.copy()
        _native.merge_exact_sums(b.channel_sums, channel_sums)
    else:
        channel_min, channel_max, channel_sums = (
            a.channel_min[:0],
            a.channel_max[:0],
            a.channel_sums[:0],
        )
    return TensorStats(
        a.samples + b.samples,
        a.count + b.count,
        min(a.min, b.min),
        max(a.max, b.max),
        a.bins + b.bins,
        sample_sums,
        channel_min,
        channel_max,
        channel_sums,
    )


class Accumulator:
    """The growing statistics of one tensor.

    start: statistics to go on from. momentum: of the moving average to keep beside, if any.
    """

    def __init__(self, start: TensorStats | None = None, momentum: float | None = None):
        start = empty() if start is None else _copied(start)  # zeros untouched take no memory
        self._samples, self._count = start.samples, start.count
        self._min, self._max = start.min, start.max
        self._bins, self._sample_sums = start.bins, start.sample_sums
        self._channels: _Channels = (start.channel_min, start.channel_max, start.channel_sums)
        self._momentum, self._moving = momentum, start.moving

    def add(self, sample: np.ndarray) -> int:
        """Adds one sample's values, float32 of any shape, the channels last. Returns the number of
        values that are NaN or infinite; when it is not 0 the accumulator is spoilt.
        """
        if not sample.size:
            return 0
        channels = sample.shape[-1] if sample.ndim else 1
        into = self._channels
        if len(into[0]) != channels:
            into = _no_channels(channels)
            # The second number of channels that is met leaves none.
            self._channels = into if not self._samples else _no_channels(0)
        low, high, non_finite = _native.observe(sample, self._bins, *into, self._sample_sums)
        self._samples += 1
        self._count += sample.size
        self._min, self._max = min(self._min, low), max(self._max, high)
        if self._momentum is not None:
            self._moving = _moved(self._moving, self._momentum, low, high)
        return non_finite

    @property
    def stats(self) -> TensorStats:
        """What was gathered; it shares its arrays, which the next add() changes."""
        return TensorStats(
            self._samples,
            self._count,
            self._min,
            self._max,
            self._bins,
            self._sample_sums,
            *self._channels,
            self._moving,
        )


def _no_channels(channels: int) -> _Channels:
    """Channel extremes and sums of no sample."""
    return (
        np.full(channels, np.inf, np.float32),
        np.full(channels, -np.inf, np.float32),
        np.zeros((channels, LIMBS), np.int64),
    )


def _moved(last: MovingRange | None, momentum: float, low: float, high: float) -> MovingRange:
    if last is None:
        return MovingRange(momentum, low, high)
    return MovingRange(
        momentum,
        momentum * last.low + (1.0 - momentum) * low,
        momentum * last.high + (1.0 - momentum) * high,
    )
