"""choose: the range of an activation that an observer makes of its statistics.

Every method but the moving average reads the same statistics, so one calibration serves many
recipes. docs/numerics.md, section 2, derives them.
"""

import itertools
from collections.abc import Callable, Iterable

import numpy as np

from int8x.calibration.density import Density, density_of
from int8x.calibration.tensor_stats import TensorStats
from int8x.errors import StatsError
from int8x.tflite.quant_params import from_range, real_range

OBSERVERS = ("minmax", "average", "percentile", "mse", "entropy", "moving_average")

Range = tuple[float, float]

_OCTAVE_PARTS = (2, 8, 8)  # a line search divides an octave by 2, then what is best twice by 8
_ROUNDS = 2  # of each end in turn, when a tensor has both signs
_NO_MASS = 1e-9  # what entropy takes for a probability of zero


def choose(
    stats: TensorStats,
    observer: str,
    *,
    percentile: float = 99.99,
    momentum: float = 0.95,
    bits: int = 8,
) -> tuple[Range, str]:
    """The real range (low, high), and in words where it comes from.

    observer: one of OBSERVERS; percentile and momentum: of those that take them. bits: of the grid
    that will hold the range (quant_params.from_range). Raises StatsError for a moving average that
    the statistics do not hold.

    >>> choose(stats.tensors["relu"], "mse")
    ((0.0, 4.31), "mse of 100 samples")
    """
    of = f"of {stats.samples} samples"
    if observer == "average":
        return stats.mean_range(), f"average {of}"
    if observer == "percentile":
        return stats.percentile_range(percentile), f"percentile {percentile:g} {of}"
    if observer == "moving_average":
        return _moving_average(stats, momentum), f"moving average {momentum:g} {of}"
    if observer == "mse":
        if ("mse", bits) not in stats.memo:
            stats.memo["mse", bits] = mse_range(density_of(stats), bits)
        return stats.memo["mse", bits], f"mse {of}"
    if observer == "entropy" and bits == 8:
        if "entropy" not in stats.memo:
            stats.memo["entropy"] = entropy_range(density_of(stats))
        return stats.memo["entropy"], f"entropy {of}"
    if observer == "entropy":  # the grid is finer than the histogram: nothing is lost but by clips
        return (stats.min, stats.max), f"entropy (minmax at {bits} bits) {of}"
    return (stats.min, stats.max), f"minmax {of}"


def _moving_average(stats: TensorStats, momentum: float) -> Range:
    if stats.moving is None:
        raise StatsError(
            "the statistics hold no moving average: it follows the order of the samples, so one "
            "worker gathers it, in one run, when the recipe has the observer moving_average"
        )
    if stats.moving.momentum != momentum:
        raise StatsError(
            f"the statistics hold a moving average of momentum {stats.moving.momentum:g}, the "
            f"recipe's is {momentum:g}: calibrate with this recipe"
        )
    return stats.moving.low, stats.moving.high


def mse_range(density: Density, bits: int = 8) -> Range:
    """The range whose grid has the least expected squared error, rounding and clipping together.

    Banner et al. 2019 (arXiv:1810.05723) minimise the same sum for assumed distributions; here the
    histogram is the distribution.
    """
    return _search(
        density, lambda low, high: expected_error(density, low, high, bits), symmetric=bits == 16
    )


def expected_error(density: Density, low: float, high: float, bits: int = 8) -> float:
    """The mean of (x - q(x))^2 over the density, for the grid that from_range makes of the range.

    Exact for values evenly spread within each bin. That assumption matters where a bin is not much
    wider than a step: the error of one value then lies in [0, step^2 / 4] and counts as its mean.
    """
    grid = from_range(low, high, "", bits)
    bottom, top = real_range(grid)
    edges, first, last, point = density.edges
    integral = _error_integral(edges, grid.scale, bottom, top)
    width = density.high - density.low
    mean = (integral[last] - integral[first]) / np.where(point, 1.0, width)
    x = density.low[point]
    nearest = np.clip(np.round(x / grid.scale) * grid.scale, bottom, top)
    mean[point] = (x - nearest) ** 2
    return float(np.dot(mean, density.count) / density.count.sum())


def _error_integral(x: np.ndarray, step: float, bottom: float, top: float) -> np.ndarray:
    """The integral of (t - q(t))^2 from 0 to x: step^3 / 12 for each whole step, r^3 / 3 for the
    rest, and beyond the end of the grid (distance)^3 / 3.
    """
    size, end = np.abs(x), np.where(x < 0, -bottom, top)
    inside = np.minimum(size, end)
    whole = np.floor(inside / step + 0.5)
    rest, beyond = inside - whole * step, size - inside
    # Products: a power takes ten times as long, and its last bit is the library's.
    total = whole * step**3 / 12 + (rest * rest * rest + beyond * beyond * beyond) / 3
    return np.copysign(total, x)


def entropy_range(density: Density) -> Range:
    """The range whose 8-bit grid keeps most of the distribution: least Kullback-Leibler divergence.

    Migacz, "8-bit inference with TensorRT" (GTC 2017), for grids with a zero point: levels cover
    both signs, and values that are exactly zero, which every grid holds, are left out.
    """
    density = density.without_zero().with_wide_ends()
    if not len(density.count):
        return 0.0, 0.0
    return _search(density, lambda low, high: divergence(density, low, high))


def divergence(density: Density, low: float, high: float) -> float:
    """KL(P || Q): P the density, its clipped values spread over the outermost level; Q what the
    grid of the range keeps of it: each level's unclipped values, spread evenly over what is not
    empty there. The cells are those of the histogram, cut where levels meet: no detail is lost.
    """
    grid = from_range(low, high, "")
    bottom, top = real_range(grid)
    levels = round((top - bottom) / grid.scale) + 1
    borders = bottom + grid.scale * (np.arange(levels + 1) - 0.5)
    points = np.column_stack([density.low, density.high]).ravel()
    below = np.repeat(np.append(0.0, np.cumsum(density.count)), 2)[1:-1]
    cuts = np.unique(np.concatenate([points, borders]))
    cuts = cuts[(cuts >= borders[0]) & (cuts <= borders[-1])]
    counts = np.interp(cuts, points, below)
    width, mass = np.diff(cuts), np.diff(counts)
    level = np.searchsorted(borders, cuts[:-1], side="right") - 1
    filled = mass > 0
    if not filled.any():
        return np.inf
    width, mass, level = width[filled], mass[filled], level[filled]
    kept, room = (np.bincount(level, weights, levels) for weights in (mass, width))
    share = width / room[level]
    p, q = mass / below[-1], kept[level] * share / mass.sum()
    for end, clipped in ((0, counts[0]), (levels - 1, below[-1] - counts[-1])):
        here = level == end
        if here.any():
            p[here] += clipped / below[-1] * share[here]
        elif clipped:  # the outermost level holds nothing else
            p, q = np.append(p, clipped / below[-1]), np.append(q, 0.0)
            share, level = np.append(share, 1.0), np.append(level, end)
    return float(np.sum(p * np.log(p / np.maximum(q, _NO_MASS * share))))


def _search(
    density: Density, cost: Callable[[float, float], float], symmetric: bool = False
) -> Range:
    """The range within [min, max] of least cost; of equal ones the widest that was tried.

    First both ends are kept within a common size; then, on a grid that is not symmetric, each end
    is moved in turn.
    """
    low, high = min(float(density.low[0]), 0.0), max(float(density.high[-1]), 0.0)
    size, median = max(-low, high), density.median_size()
    if not size or not median:
        return low, high
    limit = size * _line(lambda f: cost(max(low, -size * f), min(high, size * f)), size / median)
    best = max(low, -limit), min(high, limit)
    if low and high and not symmetric:
        for _, end in itertools.product(range(_ROUNDS), (1, 0)):
            full = (low, high)[end]

            def of_end(f: float, end: int = end, full: float = full, fixed: Range = best) -> float:
                return cost(fixed[0], full * f) if end else cost(full * f, fixed[1])

            f = _line(of_end, abs(full) / median, best[end] / full)
            best = (best[0], full * f) if end else (full * f, best[1])
    return best


def _line(cost: Callable[[float], float], ratio: float, start: float = 1.0) -> float:
    """The factor in (0, 1] of least cost, looked for down to somewhat below 1 / ratio."""
    octaves = int(np.ceil(np.log2(max(ratio, 1.0)))) + 2
    exponent, step = 0.0, 1.0
    costs = {0.0: cost(1.0), -float(np.log2(start)): cost(start)}

    def consider(exponents: Iterable[float]) -> float:
        for e in exponents:
            if e not in costs and e >= 0:
                costs[e] = cost(2.0**-e)
        return min(costs, key=lambda e: (costs[e], e))

    for number, parts in enumerate(_OCTAVE_PARTS):
        step /= parts
        if number == 0:
            exponent = consider(i * step for i in range(octaves * parts + 1))
        else:
            exponent = consider(exponent + i * step for i in range(-parts + 1, parts))
    return 2.0**-exponent
