"""The benchmark of quantization quality: what it measures with, and what its nets are made of."""

import os
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from quality import measure, music, report, uneven


def test_the_sqnr_of_a_tenth_of_the_signal_is_twenty_decibels():
    x = np.linspace(-1, 1, 100).reshape(10, 10)
    assert measure.sqnr(x, 1.1 * x) == pytest.approx(20, abs=1e-9)


def test_a_quantized_model_runs_alike_in_each_kind_of_exact_kernels():
    import int8x
    from float_nets import small_network

    model = small_network()
    shape = model.main.inputs[0].shape[1:]
    samples = np.random.default_rng(0).random((8, *shape), np.float32)
    coded = int8x.quantize(model, data=samples).to_bytes()
    mine, truth = (measure.outputs_of(coded, samples, kind)[0] for kind in ("int8x", "reference"))
    np.testing.assert_array_equal(mine, truth)


def test_uneven_channels_leave_the_function_as_it_was():
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((8, 8, 1))
    for filters in (4, 6):
        x = layers.Conv2D(filters, 3, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    images = np.random.default_rng(0).random((5, 8, 8, 1), np.float32)
    before = model.predict(images, verbose=0)
    scales = model.layers[2].get_weights()[0].copy()
    after = uneven.uneven(model).predict(images, verbose=0)
    assert np.any(model.layers[2].get_weights()[0] != scales)
    # Factors are powers of two: only the sums of 36 and of 54 products may round differently.
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5 * np.abs(before).max())


def test_music_is_the_same_for_a_seed_and_differs_between_halves():
    first, again, other = (music.clips(2, 4000, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert 0.1 < np.abs(first).max() <= 1


def test_a_recipe_that_loses_to_a_peer_is_shown_as_such():
    rows = [
        report.Row("net", "tensorflow", "accuracy %", 90.0, 30.0),
        report.Row("net", "int8x minmax", "accuracy %", 90.0, 29.5),
        report.Row("net", "int8x all", "accuracy %", 90.0, 33.25),
    ]
    from rich.console import Console

    console = Console(width=100, file=StringIO(), record=True)
    console.print(report.verdict(rows))
    text = console.export_text()
    assert "-0.50" in text and "+3.25" in text


def die(*_: object) -> None:
    os.abort()


def test_a_model_that_kills_the_interpreter_is_an_error_with_the_signal(monkeypatch):
    monkeypatch.setattr(measure, "_run", die)
    with pytest.raises(RuntimeError, match="died in stock kernels: SIGABRT"):
        measure.outputs_of(b"", np.zeros((1, 1), np.float32), "stock")
