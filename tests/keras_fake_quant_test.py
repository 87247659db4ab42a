"""The grids of fake quantization: exact in float32, equal to TFLite's own rounding."""

import keras_nets  # noqa: F401  (quiet TensorFlow first)
import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from int8x.keras import fake_quant

ENDS = st.floats(-1e4, 1e4, width=32)


def grid(low, high):
    scale, zero_point = fake_quant.activation_params(
        tf.constant(low, tf.float32), tf.constant(high, tf.float32)
    )
    return np.float32(scale), int(zero_point)


@settings(deadline=None)
@given(ENDS, ENDS)
def test_every_point_of_an_activation_grid_is_an_exact_float32(a, b):
    scale, zero_point = grid(min(a, b), max(a, b))
    steps = np.arange(-128, 128) - zero_point
    exact = steps.astype(np.float64) * np.float64(scale)
    assert np.array_equal(exact.astype(np.float32).astype(np.float64), exact)


@settings(deadline=None)
@given(ENDS, ENDS)
def test_the_ends_of_the_range_give_back_scale_and_zero_point(a, b):
    scale, zero_point = grid(min(a, b), max(a, b))
    low, high = np.float32((-128 - zero_point) * scale), np.float32((127 - zero_point) * scale)
    assert np.float32((high - low) / np.float32(255)) == scale
    assert int(np.round(-128 - low / scale)) == zero_point


@settings(deadline=None)
@given(ENDS, ENDS)
def test_zero_lies_on_the_grid_and_the_range_is_covered_to_half_a_step(a, b):
    low, high = min(a, b, 0), max(a, b, 0)
    scale, zero_point = grid(low, high)
    assert -128 <= zero_point <= 127
    assert (-128 - zero_point) * scale <= low + 0.51 * scale
    assert (127 - zero_point) * scale >= high - 0.51 * scale


def test_a_range_without_extent_gives_a_usable_grid():
    assert grid(0.0, 0.0) == (1.0, -128)


def test_rounding_equals_tflites_quantize_round_half_away_from_zero():
    scale, zero_point = grid(-1.0, 3.0)
    x = np.random.default_rng(0).normal(0, 2, 100_000).astype(np.float32)
    y = fake_quant.fake_quant(
        tf.constant(x), tf.constant(scale), tf.constant(np.float32(zero_point))
    ).numpy()
    ratio = x / scale
    wanted = np.clip(np.trunc(ratio + np.copysign(np.float32(0.5), ratio)) + zero_point, -128, 127)
    assert np.array_equal(np.round(y / scale) + zero_point, wanted)
    assert np.array_equal(y, fake_quant.marker(tf.constant(x), float(scale), zero_point).numpy())


def test_jit_compiled_rounding_gives_the_same_integers():
    scale, zero_point = fake_quant.activation_params(tf.constant(-0.3), tf.constant(2.7))
    x = tf.constant(np.random.default_rng(1).normal(0, 2, 10_000).astype(np.float32))
    compiled = tf.function(fake_quant.fake_quant, jit_compile=True)
    steps = [np.round(f(x, scale, zero_point) / scale) for f in (compiled, fake_quant.fake_quant)]
    assert np.array_equal(*steps)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(-12, 4))
def test_the_scale_of_a_rounded_weight_is_its_largest_value_over_127(number, power):
    weight = np.random.default_rng(number).normal(0, 10.0**power, (3, 3, 4, 5)).astype(np.float32)
    rounded = fake_quant.fake_quant_weight(tf.constant(weight), (3,)).numpy()
    scale = fake_quant.weight_scale(tf.constant(weight), (3,)).numpy().reshape(-1)
    largest = np.abs(rounded).max((0, 1, 2))
    assert np.array_equal(largest / np.float32(127), scale)
    steps = rounded / scale
    assert np.array_equal(steps, np.round(steps))


def test_a_channel_of_zeros_stays_zero():
    weight = tf.constant([[0.0, 1.0], [0.0, -0.5]])
    assert np.array_equal(fake_quant.fake_quant_weight(weight, (1,))[:, 0], [0.0, 0.0])


def test_the_gradient_passes_inside_the_range_and_through_weights():
    x = tf.constant([-5.0, 0.5, 5.0])
    weight = tf.constant([[0.3], [1.0]])
    with tf.GradientTape() as tape:
        tape.watch([x, weight])
        scale, zero_point = fake_quant.activation_params(tf.constant(-1.0), tf.constant(1.0))
        total = tf.reduce_sum(fake_quant.fake_quant(x, scale, zero_point))
        total += tf.reduce_sum(fake_quant.fake_quant_weight(weight, (1,)))
    by_x, by_weight = tape.gradient(total, [x, weight])
    assert by_x.numpy().tolist() == [0.0, 1.0, 0.0]
    assert by_weight.numpy().tolist() == [[1.0], [1.0]]
