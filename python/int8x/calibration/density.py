"""How the values of one tensor are distributed, as far as its histogram tells."""

import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from int8x.calibration.tensor_stats import TensorStats

BINS = 65536  # HISTOGRAM_BINS of _native
_FINITE = 0x7F80  # bins of one sign below infinity
# The least size of a bin's values; the last one is where the largest finite bin ends.
_SIZES = (np.arange(_FINITE, dtype=np.uint32) << 16).view(np.float32).astype(np.float64)
_EDGES = np.append(_SIZES, 2.0**128)
# The bins by value: negative ones from the largest size on, then the positive ones.
_ORDER = np.append(np.arange(0x8000 + _FINITE - 1, 0x7FFF, -1), np.arange(_FINITE))


@dataclasses.dataclass(frozen=True)
class Density:
    """Values between low[i] and high[i], count[i] of them, evenly spread: float64[n], ascending.

    A bin is at most 1/128 of its values wide, lies within the tensor's [min, max], and is a point
    for zeros (everything below 2^-133 counts as one).
    """

    low: np.ndarray
    high: np.ndarray
    count: np.ndarray

    @functools.cached_property
    def edges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """All ends of bins, each once, ascending; for each bin the place of its low end and of its
        high end; and whether it is a point.
        """
        edges, places = np.unique(np.concatenate([self.low, self.high]), return_inverse=True)
        first, last = np.split(places, 2)
        return edges, first, last, self.high <= self.low

    def without_zero(self) -> "Density":
        """The same without the values that are zero."""
        kept = (self.low != 0) | (self.high != 0)
        return Density(self.low[kept], self.high[kept], self.count[kept])

    def with_wide_ends(self) -> "Density":
        """The same with outermost bins that [min, max] has cut to less than half their width joined
        to their neighbours: there the histogram says nothing of how densely values lie.
        """
        low, high, count = (array.copy() for array in (self.low, self.high, self.count))
        if len(count) and high[-1] - low[-1] < high[-1] / 256:
            low[-1] = high[-1] * (255 / 256)
            if len(count) > 1 and high[-2] > low[-1]:
                low[-1], count[-1] = low[-2], count[-1] + count[-2]
                low, high, count = (np.delete(array, -2) for array in (low, high, count))
        if len(count) and high[0] - low[0] < -low[0] / 256:
            high[0] = low[0] * (255 / 256)
            if len(count) > 1 and low[1] < high[0]:
                high[0], count[0] = high[1], count[0] + count[1]
                low, high, count = (np.delete(array, 1) for array in (low, high, count))
        return Density(low, high, count)

    def median_size(self) -> float:
        """About the median of the sizes of the values that are not zero; 0 when all are."""
        sizes = np.maximum(np.abs(self.low), np.abs(self.high))
        counts = np.where(sizes > 0, self.count, 0)
        if not counts.any():
            return 0.0
        order = np.argsort(sizes, kind="stable")
        below = np.cumsum(counts[order])
        return float(sizes[order[np.searchsorted(below, below[-1] / 2)]])


def density_of(stats: "TensorStats") -> Density:
    """The density of a tensor's histogram."""
    used = _ORDER[stats.bins[_ORDER] > 0]
    size, negative = used & 0x7FFF, used >= 0x8000
    near, far = _EDGES[size], np.where(size == 0, 0.0, _EDGES[size + 1])
    low, high = np.where(negative, -far, near), np.where(negative, -near, far)
    return Density(
        np.clip(low, stats.min, stats.max),
        np.clip(high, stats.min, stats.max),
        stats.bins[used].astype(np.float64),
    )
