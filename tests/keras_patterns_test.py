"""Units of pruning: which weights go together, which go first, and TFMOT's schedule protocol."""

import keras_nets  # noqa: F401  (quiet TensorFlow first)
import numpy as np
import pytest
from int8x.keras.patterns import Pattern, Units, parse_pattern, smallest
from int8x.keras.schedules import ConstantSparsity, PolynomialDecay, ask

PATTERNS = {
    "single weights": (Pattern(), (3, 9, 5)),
    "1x4": (Pattern(1, 4), (3, 9, 8)),
    "4x1": (Pattern(4, 1), (8, 9, 3)),
    "1x16": (Pattern(1, 16), (3, 1, 32)),
}


def draw(shape):
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def blocks_of(mask, pattern):
    outputs, positions, inputs = mask.shape
    r, c = pattern.rows, pattern.columns
    return mask.reshape(outputs // r, r, positions, inputs // c, c).transpose(0, 2, 3, 1, 4)


@pytest.mark.parametrize("name", PATTERNS)
def test_blocks_go_whole_and_the_smallest_mean_goes_first(name):
    pattern, shape = PATTERNS[name]
    kernel = draw(shape)
    units = Units(kernel, pattern)
    (off,) = smallest([units.scores], len(units.scores) // 3)
    mask = blocks_of(units.mask(off), pattern)
    whole = mask.reshape(*mask.shape[:3], -1)
    assert np.array_equal(whole.all(-1), whole.any(-1))
    size = np.abs(blocks_of(kernel, pattern)).reshape(*whole.shape[:3], -1).mean(-1)
    assert size[~whole.all(-1)].max() <= size[whole.all(-1)].min()
    assert (~whole.all(-1)).sum() == len(units.scores) // 3


@pytest.mark.parametrize(("keep", "of"), [(2, 4), (4, 8), (1, 4)])
def test_of_every_m_inputs_the_n_largest_stay(keep, of):
    kernel = draw((5, 9, 16))
    units = Units(kernel, Pattern(1, of, keep))
    groups = units.mask(np.ones(len(units.scores), bool)).reshape(-1, of)
    assert np.array_equal(groups.sum(1), np.full(len(groups), keep))
    values = np.abs(kernel).reshape(-1, of)
    assert (np.where(groups, np.inf, values).max(1) == np.inf).all()
    assert (np.where(groups, 0, values).max(1) <= np.where(groups, values, np.inf).min(1)).all()


def test_half_way_the_groups_that_lose_least_are_off():
    kernel = draw((4, 1, 16))
    units = Units(kernel, Pattern(1, 4, 2))
    (off,) = smallest([units.scores], 8)
    assert (~units.mask(off)).sum() == 16
    lost = np.sort(np.abs(kernel).reshape(-1, 4), axis=1)[:, :2].sum(1)
    assert set(np.flatnonzero(off)) == set(np.argsort(lost)[:8])


def test_the_smallest_of_several_arrays_are_found_together_and_nan_is_large():
    first, second = smallest([np.array([np.nan, 3.0, 1.0]), np.array([2.0, 4.0])], 3)
    assert first.tolist() == [False, True, True]
    assert second.tolist() == [True, False]


def test_ties_go_to_the_first_of_equal_units():
    (off,) = smallest([np.ones(4)], 2)
    assert off.tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("block", "pattern", "words"),
    [
        ((2, 2), None, r"block must be one of \(1, 4\), \(4, 1\), \(1, 16\)"),
        (4, None, "block must be one of"),
        (None, "4:2", "pattern must look like '2:4'"),
        (None, "0:4", "pattern must look like"),
        (None, (2, 4), "pattern must look like"),
        ((1, 4), "2:4", "one of block and pattern was wanted"),
    ],
)
def test_other_units_are_refused(block, pattern, words):
    with pytest.raises(ValueError, match=words):
        parse_pattern(block, pattern)


def test_schedules_follow_their_formula():
    ramp = PolynomialDecay(0.2, 0.8, 10, 110, power=3, frequency=50)
    assert [ramp(step)[0] for step in (9, 10, 59, 60, 110, 160)] == [
        False,
        True,
        False,
        True,
        True,
        False,
    ]
    assert ramp(10)[1] == pytest.approx(0.2)
    assert ramp(60)[1] == pytest.approx(0.8 - 0.6 / 8)
    assert ramp(500)[1] == pytest.approx(0.8)
    assert [ConstantSparsity(0.5, 2, 4, 1)(step)[0] for step in range(6)] == [0, 0, 1, 1, 1, 0]


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (lambda step: 0.5, r"schedule\(3\) must give \(whether to prune, sparsity\)"),
        (lambda step: (True, 1.5), r"a sparsity in \[0, 1\], got 1.5"),
        (lambda step: (True, None), "must give"),
    ],
)
def test_a_schedule_that_breaks_the_protocol_is_refused(schedule, words):
    with pytest.raises(ValueError, match=words):
        ask(schedule, 3)
