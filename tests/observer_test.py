"""Statistics: the same bits for every order and grouping, and exactly what the samples say."""

import contextlib
import functools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from int8x.calibration.observer import Stats
from int8x.calibration.tensor_stats import Accumulator, TensorStats, empty, exact_value, merge
from int8x.errors import StatsError

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
SAMPLES = st.lists(hnp.arrays(np.float32, (3, 4), elements=FINITE), min_size=1, max_size=8)


def gathered(samples) -> TensorStats:
    accumulator = Accumulator()
    for sample in samples:
        assert accumulator.add(sample) == 0
    return accumulator.stats


def stats_of(samples, fingerprint: str = "f", environment: str = "e") -> Stats:
    return Stats({"t": gathered(samples)}, fingerprint, len(samples), (environment,))


@settings(deadline=None, max_examples=60)
@given(SAMPLES, st.randoms(use_true_random=False))
def test_order_and_grouping_change_no_bit(samples, dice):
    whole = gathered(samples)
    shuffled = list(samples)
    dice.shuffle(shuffled)
    cuts = sorted(dice.randrange(len(samples) + 1) for _ in range(2))
    parts = [shuffled[: cuts[0]], shuffled[cuts[0] : cuts[1]], shuffled[cuts[1] :]]
    shards = [gathered(part) for part in parts]
    dice.shuffle(shards)
    assert functools.reduce(merge, shards) == whole
    assert merge(shards[0], merge(shards[1], shards[2])) == whole


@settings(deadline=None, max_examples=60)
@given(SAMPLES)
def test_the_numbers_are_those_of_the_samples(samples):
    stats, everything = gathered(samples), np.stack(samples)
    assert (stats.samples, stats.count) == (len(samples), everything.size)
    assert (stats.min, stats.max) == (everything.min(), everything.max())
    np.testing.assert_array_equal(stats.channel_max, everything.max(axis=(0, 1)))
    sums = [exact_value(limbs) for limbs in stats.sample_sums]
    assert sums[0] == sum(Fraction(float(s.min())) for s in samples)
    assert sums[1] == sum(Fraction(float(s.max())) for s in samples)
    upper = everything.ravel().view(np.uint32) >> 16
    np.testing.assert_array_equal(stats.bins, np.bincount(upper, minlength=65536))


def test_merging_with_nothing_changes_nothing():
    stats = gathered([np.arange(6, dtype=np.float32)])
    assert merge(stats, empty()) == stats == merge(empty(), stats)


def test_channel_sums_of_a_changed_channel_count_are_dropped_in_any_order():
    wide, narrow = np.ones((2, 5), np.float32), np.ones((2, 3), np.float32)
    one, other = gathered([wide, narrow]), merge(gathered([narrow]), gathered([wide]))
    assert one == other and len(one.channel_min) == 0


def test_the_average_range_is_the_mean_of_each_samples_ends():
    stats = gathered(
        [np.array([-1, 2], np.float32), np.array([-2, 4], np.float32), np.array([0, 9], np.float32)]
    )
    assert stats.mean_range() == (-1.0, 5.0)


def test_a_percentile_leaves_out_its_share_and_stays_within_the_extremes():
    values = np.concatenate([np.linspace(-1, 1, 10_000), [50.0, -50.0]]).astype(np.float32)
    stats = gathered([values])
    low, high = stats.percentile_range(99.9)
    assert np.mean((values < low) | (values > high)) <= 0.001
    assert -1.1 < low < -0.9 < 0.9 < high < 1.1
    assert stats.percentile_range(100.0) == (-50.0, 50.0)


def test_channel_means_are_exact_over_many_samples():
    samples = [np.array([[0.1 * i, -1e-3 * i]], np.float32) for i in range(100)]
    stats = gathered(samples)
    expected = [float(sum(Fraction(float(s[0, c])) for s in samples) / 100) for c in (0, 1)]
    assert stats.channel_means().tolist() == expected


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_sample_that_is_not_finite_is_reported(bad):
    assert Accumulator().add(np.array([[1, bad]], np.float32)) == 1


def test_saving_and_loading_gives_equal_statistics_and_equal_bytes(tmp_path):
    stats = stats_of(
        [np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32) for _ in range(3)]
    )
    stats.save(tmp_path / "a.npz")
    stats.save(tmp_path / "b.npz")
    assert Stats.load(tmp_path / "a.npz") == stats
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_statistics_of_another_model_do_not_merge():
    with pytest.raises(StatsError, match="two different models"):
        stats_of([np.ones(2, np.float32)]).merge(
            stats_of([np.ones(2, np.float32)], fingerprint="g")
        )


def test_unlike_machines_are_told_and_marked():
    a, b = (
        stats_of([np.ones(2, np.float32)]),
        stats_of([np.ones(2, np.float32)], environment="other"),
    )
    with pytest.warns(UserWarning, match="unlike machines"):
        both = a.merge(b)
    assert both.mixed and not a.mixed
    assert both.environment == ("e", "other")


@pytest.mark.parametrize("content", [b"", b"no npz", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_statistics_is_refused(tmp_path, content):
    (tmp_path / "s.npz").write_bytes(content)
    with pytest.raises(StatsError, match=r"s\.npz: not statistics"):
        Stats.load(tmp_path / "s.npz")


def test_damaged_statistics_are_refused(tmp_path):
    data = bytearray(stats_of([np.ones((2, 3), np.float32)]).to_bytes())
    dice = np.random.default_rng(3)
    for _ in range(100):
        mutant = bytearray(data)
        for at in dice.integers(0, len(data), 3):
            mutant[at] = dice.integers(256)
        (tmp_path / "s.npz").write_bytes(mutant)
        with contextlib.suppress(StatsError):
            Stats.load(tmp_path / "s.npz")


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "s.npz", header=np.array([{}], object))
    with pytest.raises(StatsError):
        Stats.load(tmp_path / "s.npz")
