"""Observers: each range is what its definition asks of the values themselves, not of the histogram
alone; outliers, constants and zeros included.
"""

import functools

import int8x
import numpy as np
import pytest
from float_nets import on_grid, small_network
from int8x.calibration.density import density_of
from int8x.calibration.tensor_stats import Accumulator, TensorStats
from int8x.errors import StatsError, WorkerError
from int8x.quantization.range_choice import OBSERVERS, choose, divergence, expected_error
from int8x.tflite.quant_params import from_range, real_range

SEED = 11
print("seed", SEED)

# A bin is at most 1/128 of its values wide, so what is read off its edges is that close.
BIN = 1 / 128
# What the even spread within bins costs: with tens of thousands of values and steps narrower than
# the shape of these distributions, their sampling error outweighs it.
SPREAD = 0.03
# The search stops at factors 2^(1/128) apart.
SEARCHED = 0.02
# A clipped value counts in the outermost level, which entropy then wants to hold others too.
PULLED = 0.15


def of_values(*samples, momentum=None) -> TensorStats:
    accumulator = Accumulator(momentum=momentum)
    for sample in samples:
        assert accumulator.add(np.asarray(sample, np.float32)) == 0
    return accumulator.stats


@functools.cache
def drawn(name: str) -> np.ndarray:
    dice = np.random.default_rng(SEED)
    n = 60_000
    return {
        "normal": lambda: dice.normal(size=n),
        "shifted": lambda: dice.normal(2, 1, n),
        "relu": lambda: np.maximum(dice.normal(size=n), 0),
        "negative": lambda: -np.abs(dice.laplace(size=n)),
        "laplace": lambda: dice.laplace(size=n) * 1e-3,
        "heavy": lambda: dice.standard_t(3, n) * 50,
        "relu6": lambda: np.clip(dice.normal(size=n) * 4, 0, 6),
        "outlier": lambda: np.append(dice.normal(size=n), 900.0),
    }[name]().astype(np.float32)


DRAWN = ("normal", "shifted", "relu", "negative", "laplace", "heavy", "relu6", "outlier")


def squared_error(values: np.ndarray, low: float, high: float, bits: int = 8) -> float:
    grid = from_range(low, high, "", bits)
    bottom, top = real_range(grid)
    x = values.astype(np.float64)
    return float(np.mean((x - np.clip(np.round(x / grid.scale) * grid.scale, bottom, top)) ** 2))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", DRAWN)
def test_the_expected_error_is_that_of_the_values(name, bits):
    density = density_of(of_values(drawn(name)))
    low, high = float(drawn(name).min()), float(drawn(name).max())
    for factor in (1.0, 0.7, 0.3) if bits == 8 else (0.7, 0.3):
        got = expected_error(density, low * factor, high * factor, bits)
        assert got == pytest.approx(squared_error(drawn(name), low * factor, high * factor, bits),
                                    rel=SPREAD)  # fmt: skip


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", DRAWN)
def test_no_range_of_a_fine_lattice_has_a_smaller_error_than_mse(name, bits):
    values = drawn(name)
    (low, high), source = choose(of_values(values), "mse", bits=bits)
    assert source == "mse of 1 samples"
    assert values.min() <= low <= high <= values.max() or min(values.min(), 0) <= low <= 0
    best = min(
        squared_error(values, float(values.min()) * a, float(values.max()) * b, bits)
        for a in np.geomspace(0.05, 1, 20)
        for b in np.geomspace(0.05, 1, 20)
    )
    assert squared_error(values, low, high, bits) <= best * (1 + SPREAD + SEARCHED)


@pytest.mark.parametrize("name", DRAWN)
def test_no_range_of_a_lattice_keeps_more_of_the_distribution_than_entropy(name):
    stats = of_values(drawn(name))
    (low, high), source = choose(stats, "entropy")
    assert source == "entropy of 1 samples"
    density = density_of(stats).without_zero().with_wide_ends()
    limits = np.geomspace(0.01, 1, 60) * max(-stats.min, stats.max)
    best = min(divergence(density, max(stats.min, -t), min(stats.max, t)) for t in limits)
    # A search that moves one end at a time may rest at a ridge; it is never far above.
    assert divergence(density, low, high) <= best * 1.1


def test_the_divergence_is_zero_when_the_grid_loses_nothing_and_grows_with_clips():
    density = density_of(of_values(np.random.default_rng(SEED).uniform(0, 1, 100_000)))
    whole = divergence(density, 0.0, 1.0)
    assert 0 <= whole < 0.01
    costs = [divergence(density, 0.0, top) for top in (0.95, 0.8, 0.5)]
    assert whole < costs[0] < costs[1] < costs[2]


@pytest.mark.parametrize("factor", [1e3, 1e10, 1e30])
def test_entropy_and_percentile_do_not_see_how_far_out_an_outlier_is(factor):
    values = drawn("relu")
    alone, spoilt = of_values(values), of_values(np.append(values, np.float32(factor)))
    for name, near in (("entropy", PULLED), ("percentile", 2 * BIN)):
        low, high = choose(spoilt, name, percentile=99.0)[0]
        assert low == 0
        assert high == pytest.approx(choose(alone, name, percentile=99.0)[0][1], rel=near)


@pytest.mark.parametrize("share", [99.0, 99.9, 99.99])
@pytest.mark.parametrize("name", DRAWN)
def test_a_percentile_is_the_values_own_within_a_bin(name, share):
    values = np.sort(drawn(name))
    low, high = choose(of_values(values), "percentile", percentile=share)[0]
    outside = len(values) * (100 - share) / 200
    first, last = values[int(outside)], values[int(np.ceil(len(values) - outside)) - 1]
    assert first - abs(first) * BIN <= low <= first
    assert last <= high <= last + abs(last) * BIN


@pytest.mark.parametrize("observer", [o for o in OBSERVERS if o != "moving_average"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("value", [0.0, -0.0, 3.3, -1e-20, 3e38, -3e38, 1e-45])
def test_a_constant_is_its_own_range(observer, bits, value):
    low, high = choose(of_values(np.full(50, value)), observer, bits=bits)[0]
    assert min(low, 0.0) == min(np.float32(value), 0)
    assert max(high, 0.0) == max(np.float32(value), 0)
    grid = from_range(low, high, "", bits)
    assert np.isfinite(grid.scale) and grid.scale > 0


@pytest.mark.parametrize("observer", ["mse", "entropy"])
def test_saturated_ends_are_kept(observer):
    assert choose(of_values(drawn("relu6")), observer)[0] == (0.0, 6.0)


def test_at_16_bits_entropy_is_minmax_and_says_so():
    stats = of_values(drawn("heavy"))
    assert choose(stats, "entropy", bits=16) == (
        (stats.min, stats.max),
        "entropy (minmax at 16 bits) of 1 samples",
    )


def test_a_moving_average_follows_the_order_of_the_samples():
    samples = [np.array([-i, 2.0 * i + 1]) for i in range(5)]
    low, high = 0.0, 1.0
    for sample in samples[1:]:
        low, high = 0.75 * low + 0.25 * sample[0], 0.75 * high + 0.25 * sample[1]
    stats = of_values(*samples, momentum=0.75)
    assert choose(stats, "moving_average", momentum=0.75) == (
        (low, high),
        "moving average 0.75 of 5 samples",
    )
    assert of_values(*samples[::-1], momentum=0.75).moving != stats.moving
    with pytest.raises(StatsError, match=r"momentum 0\.75, the recipe's is 0\.5"):
        choose(stats, "moving_average", momentum=0.5)


MOVING = int8x.Recipe(observer="moving_average", momentum=0.5)
SHAPE = (1, 8, 8, 3)


def test_one_calibration_serves_every_recipe(tmp_path):
    int8x.calibrate(small_network(), on_grid(SHAPE), recipe=MOVING).save(tmp_path / "s.npz")
    stats = int8x.Stats.load(tmp_path / "s.npz")
    for observer in OBSERVERS:
        recipe = int8x.Recipe(observer=observer, momentum=0.5)
        graph = int8x.quantize(small_network(), stats=tmp_path / "s.npz", recipe=recipe)
        sources = {grid.source.split(" of ")[0] for grid in graph.quantization.grids.values()}
        expected = {"average": "average", "percentile": "percentile 99.99",
                    "moving_average": "moving average 0.5"}.get(observer, observer)  # fmt: skip
        assert expected in sources
    plain = int8x.calibrate(small_network(), on_grid(SHAPE))
    assert stats.tensors["x"].bins.tolist() == plain.tensors["x"].bins.tolist()
    assert stats.moving and not plain.moving


def test_a_moving_average_refuses_workers_shards_and_merge():
    with pytest.raises(WorkerError, match="depends on the order of the samples: 1 worker"):
        int8x.calibrate(small_network(), on_grid(SHAPE), recipe=MOVING, workers=2)
    moving = int8x.calibrate(small_network(), on_grid(SHAPE), recipe=MOVING)
    plain = int8x.calibrate(small_network(), on_grid(SHAPE))
    for a, b in ((moving, plain), (plain, moving)):
        with pytest.raises(StatsError, match="moving average do not merge: it depends on the"):
            a.merge(b)
    with pytest.raises(StatsError, match="hold no moving average: it follows the order"):
        int8x.quantize(small_network(), stats=plain, recipe=MOVING)


def test_a_moving_average_goes_on_where_it_was_interrupted(tmp_path):
    kept = tmp_path / "kept.npz"
    samples = on_grid(SHAPE, samples=9)

    whole = int8x.calibrate(small_network(), samples, recipe=MOVING)
    int8x.calibrate(small_network(), samples[:4], recipe=MOVING).save(kept)
    assert (
        int8x.calibrate(
            small_network(), samples, recipe=MOVING, checkpoint=kept, resume=True
        ).to_bytes()
        == whole.to_bytes()
    )
    int8x.calibrate(small_network(), samples[:4]).save(kept)
    with pytest.raises(StatsError, match="gathered for another recipe"):
        int8x.calibrate(small_network(), samples, recipe=MOVING, checkpoint=kept, resume=True)
