"""Training loops of one's own: int8x.keras.qat; and what a fit logs about its rounding."""

import itertools

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
import tensorflow as tf
from int8_runs import Reference
from int8x.keras import PruningCallback, QATCallback, qat
from int8x.keras.handle import handle_of

X, Y, X_TEST, _ = nets.digits(128, 48)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture(autouse=True)
def _seeded():
    nets.seed()


def train_step(model, optimizer):
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = LOSS(y, model(x, training=True))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return step


def batches(epochs=2, size=16):
    for _ in range(epochs):
        for start in range(0, len(X), size):
            yield tf.constant(X[start : start + size]), tf.constant(Y[start : start + size])


def states(model):
    return [v.numpy() for v in model.variables if "int8x_qat" in v.path]


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("ranges", ["average", "lsq"])
def test_a_loop_trains_freezes_and_exports_what_it_trained(ranges, jit, tmp_path):
    model, optimizer = nets.small(), keras.optimizers.Adam(2e-3)
    seen = []
    with qat(model, steps=16, optimizer=optimizer, ranges=ranges) as training:
        step = training.step(train_step(model, optimizer), jit_compile=jit)
        for x, y in batches():
            assert np.isfinite(step(x, y))
            seen.append(np.concatenate([v.reshape(-1) for v in states(model)]))
    moved = [not np.array_equal(a, b) for a, b in itertools.pairwise(seen)]
    assert moved == [True] * 11 + [False] * 4
    int8x.export(model, tmp_path / "model.tflite")
    run = Reference(tmp_path / "model.tflite")
    off = np.abs(run(X_TEST) - run.steps_from(model.predict(X_TEST, verbose=0)))
    assert off.max() <= 2


def test_a_loop_without_a_number_of_steps_never_freezes():
    model, optimizer = nets.small(), keras.optimizers.SGD(1e-3)
    training = qat(model)
    step = training.step(train_step(model, optimizer))
    for x, y in batches():
        step(x, y)
    training.end()
    assert all(state[2] == 16 for state in states(model))
    assert not handle_of(model).switches.observe


def test_a_loop_that_fails_leaves_a_usable_model():
    model = nets.small()
    with pytest.raises(KeyboardInterrupt), qat(model, steps=4) as training:
        training.step(train_step(model, keras.optimizers.SGD(1e-3)))(*next(batches()))
        raise KeyboardInterrupt
    assert np.isfinite(model.predict(X_TEST, verbose=0)).all()
    assert handle_of(model).has_ranges()


class Around(keras.Model):
    """Trains its part by a train_step that never calls the model itself."""

    def __init__(self):
        super().__init__()
        self.part = nets.small()

    def call(self, x, training=None):
        return self.part(x, training=training)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = LOSS(y, self.part(x, training=True))
        variables = self.trainable_variables
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return {"loss": loss}


def test_a_train_step_that_calls_a_part_alone_is_refused_and_the_part_can_be_trained(tmp_path):
    model = Around()
    model(X[:1])
    model.compile(keras.optimizers.Adam(2e-3), LOSS)
    with pytest.raises(ValueError, match=r"one that calls its parts: .* \(.*\) to int8x.keras.qat"):
        model.fit(X, Y, verbose=0, callbacks=[QATCallback()])
    int8x.keras.strip(model)
    model.compile(keras.optimizers.Adam(2e-3), LOSS)
    with qat(model.part):
        model.fit(X, Y, epochs=2, verbose=0)
    int8x.export(model.part, tmp_path / "model.tflite")


def test_a_step_traced_before_is_told():
    model, optimizer = nets.small(), keras.optimizers.Adam(2e-3)
    step = tf.function(train_step(model, optimizer))
    step(X[:16], Y[:16])
    training = qat(model)
    step(X[:16], Y[:16])
    with pytest.warns(UserWarning, match="nothing was trained quantization-aware"):
        training.end()


@pytest.mark.parametrize("steps", [0, 2.5, True])
def test_a_number_of_steps_that_makes_no_sense_is_refused(steps):
    with pytest.raises(ValueError, match="qat: steps must be a whole number from 1"):
        qat(nets.small(), steps=steps)


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_fit_logs_ends_clipped_share_and_sqnr_of_a_batch(place):
    model, seen = nets.compiled(nets.small()), []
    callback = QATCallback(monitor=X_TEST)
    other = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append({**logs}))
    callbacks = [other, callback] if place == "before" else [callback, other]
    fit = model.fit(X, Y, epochs=2, verbose=0, callbacks=callbacks, validation_data=(X, Y))
    history = fit.history
    name = next(key for key in history if "model_input" in key).rsplit("/", 1)[0]
    assert name.startswith("int8x/conv2d")
    low, high, clipped, sqnr = (
        history[f"{name}/{key}"][-1] for key in ("low", "high", "clipped", "sqnr")
    )
    scale, zero_point = handle_of(model).ranges.constants(handle_of(model).plan.sites()[0])
    assert (low, high) == ((-128 - zero_point) * scale, (127 - zero_point) * scale)
    rounded = np.clip(np.round(X_TEST / scale), -128 - zero_point, 127 - zero_point) * scale
    beyond = np.logical_or(np.less(X_TEST, low), np.greater(X_TEST, high))
    assert clipped == pytest.approx(beyond.mean(), abs=1e-9)
    wanted = 10 * np.log10((X_TEST**2).sum() / ((X_TEST - rounded) ** 2).sum())
    assert sqnr == pytest.approx(wanted, abs=0.01)
    assert len(history[f"{name}/sqnr"]) == 2
    assert seen[-1][f"{name}/sqnr"] == sqnr  # what TensorBoard is given, before it or after it
    assert not any(key.startswith("val_int8x") for key in history)
    assert not any("int8x" in key for key in model.evaluate(X, Y, verbose=0, return_dict=True))


def test_an_evaluation_within_an_epoch_takes_nothing_from_its_logs():
    model = nets.compiled(nets.small())
    evaluate = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: model.evaluate(X[:16], Y[:16], verbose=0)
    )
    callbacks = [evaluate, QATCallback(monitor=X_TEST), PruningCallback()]
    history = model.fit(X, Y, batch_size=64, epochs=1, verbose=0, callbacks=callbacks).history
    assert history["sparsity"] == [0.5]
    values = [history[key] for key in history if key.endswith("/sqnr")]
    assert values and np.isfinite(values).all()


def test_two_callbacks_in_one_fit_are_refused():
    model = nets.compiled(nets.small())
    with pytest.raises(ValueError, match="one in a fit was wanted, got a second one"):
        model.fit(X, Y, verbose=0, callbacks=[QATCallback(), QATCallback()])
