"""What calibration keeps of one tensor: frozen, exact, mergeable."""

import dataclasses
import math
from fractions import Fraction

import numpy as np

from int8x import _native

BINS, ZERO_BIN = _native.HISTOGRAM_BINS, _native.HISTOGRAM_ZERO
MIN_EXPONENT, LIMBS = _native.HISTOGRAM_MIN_EXPONENT, _native.EXACT_LIMBS


@dataclasses.dataclass(frozen=True, eq=False)
class TensorStats:
    """Statistics of one float tensor over samples; a function of the set of samples alone.

    samples, count: how many samples and elements were seen. min, max: over all elements.
    bins: int64[4096]; bin b counts the x with floor(x / 2^exponent) == b - 2048.
    sample_sums: exact sums (see exact_value) of each sample's min and of its max, int64[2, 12].
    channel_min, channel_max: float32 per last-axis channel; channel_sums: exact, int64[channels,
    12]. Empty when the number of channels changed between samples.
    """

    samples: int
    count: int
    min: float
    max: float
    exponent: int
    bins: np.ndarray
    sample_sums: np.ndarray
    channel_min: np.ndarray
    channel_max: np.ndarray
    channel_sums: np.ndarray

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorStats):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name))
            for f in dataclasses.fields(self)
        )

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
        cumulative = np.cumsum(self.bins)
        first = int(np.searchsorted(cumulative, outside, side="right"))
        last = int(np.searchsorted(cumulative, self.count - outside, side="left"))
        low, high = (math.ldexp(b - ZERO_BIN, self.exponent) for b in (first, last + 1))
        return max(low, self.min), min(high, self.max)

    def channel_means(self) -> np.ndarray:
        """The mean of each channel over all samples and positions, float64[channels]."""
        per_channel = self.count // max(len(self.channel_sums), 1)
        return np.array([float(exact_value(limbs) / per_channel) for limbs in self.channel_sums])


def empty() -> TensorStats:
    """The statistics of no sample: what merge() leaves any other unchanged by."""
    nothing = np.zeros(0, np.float32)
    return TensorStats(
        0,
        0,
        math.inf,
        -math.inf,
        MIN_EXPONENT,
        np.zeros(BINS, np.int64),
        np.zeros((2, LIMBS), np.int64),
        nothing,
        nothing,
        np.zeros((0, LIMBS), np.int64),
    )


def exact_value(limbs: np.ndarray) -> Fraction:
    """The number that an exact sum holds: 2^-149 times the sum of limbs[i] * 2^(32 i)."""
    return Fraction(sum(int(limb) << (32 * i) for i, limb in enumerate(limbs)), 1 << 149)


def merge(a: TensorStats, b: TensorStats) -> TensorStats:
    """The statistics of both sets of samples together; commutative and associative, bit for bit."""
    if not a.samples or not b.samples:
        return a if a.samples else b
    exponent = max(a.exponent, b.exponent)
    bins = [s.bins.copy() for s in (a, b)]
    for counts, stats in zip(bins, (a, b), strict=True):
        _native.widen_histogram(counts, exponent - stats.exponent)
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
        exponent,
        bins[0] + bins[1],
        sample_sums,
        channel_min,
        channel_max,
        channel_sums,
    )


class Accumulator:
    """The growing statistics of one tensor."""

    def __init__(self, stats: TensorStats | None = None):
        stats = stats or empty()
        self.stats = dataclasses.replace(
            stats,
            bins=stats.bins.copy(),
            sample_sums=stats.sample_sums.copy(),
            channel_sums=stats.channel_sums.copy(),
        )

    def add(self, sample: np.ndarray) -> int:
        """Adds one sample's values, float32 of any shape, the channels last. Returns the number of
        channels that hold NaN or infinities; when it is not 0 the accumulator is spoilt.
        """
        if not sample.size:
            return 0
        old = self.stats
        channels = sample.shape[-1] if sample.ndim else 1
        low, high, exponent, non_finite, channel_min, channel_max, channel_sum = _native.observe(
            sample, channels, old.exponent, old.bins
        )
        if non_finite:
            return non_finite
        _native.add_exactly(np.array([low, high]), old.sample_sums)
        channel_sums = (
            np.zeros((channels, LIMBS), np.int64) if not old.samples else old.channel_sums
        )
        if old.samples and len(old.channel_min) != channels:
            channel_min, channel_max, channel_sums = (
                channel_min[:0],
                channel_max[:0],
                channel_sums[:0],
            )
        else:
            _native.add_exactly(channel_sum, channel_sums)
            if old.samples:
                channel_min, channel_max = (
                    np.minimum(old.channel_min, channel_min),
                    np.maximum(old.channel_max, channel_max),
                )
        self.stats = dataclasses.replace(
            old,
            samples=old.samples + 1,
            count=old.count + sample.size,
            min=min(old.min, low),
            max=max(old.max, high),
            exponent=exponent,
            channel_min=channel_min,
            channel_max=channel_max,
            channel_sums=channel_sums,
        )
        return 0
