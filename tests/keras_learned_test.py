"""Learned step size: gradients as in the papers, and an optimizer that learns of new variables."""

import keras
import keras_nets as nets
import numpy as np
import pytest
import tensorflow as tf
from int8x.keras import QATCallback, attach, fake_quant, learned, private, strip
from int8x.keras.handle import handle_of
from int8x.keras.kernel_grids import best_scale
from keras import layers as L

X, Y, X_TEST, _ = nets.digits(128, 64)


@pytest.fixture(autouse=True)
def _seeded():
    nets.seed()


def fit(model, *callbacks, epochs=2, **options):
    given = callbacks or (QATCallback(ranges="lsq"),)
    return model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0, callbacks=given, **options)


def eager():
    return nets.compiled(nets.small(), run_eagerly=True)


def dense():
    """The net that is traced and compiled soonest."""
    return nets.functional(nets.head)


def learned_logs(model):
    """The learned logarithms, by path."""
    return {v.path: v.numpy() for v in model.variables if v.path.endswith("_log")}


def test_the_gradient_of_a_weight_scale_is_that_of_the_paper():
    weight = np.array([[0.26, 9.0], [-0.1, -9.0]], np.float32)
    scale = tf.constant([[0.1, 0.05]])
    upstream = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    with tf.GradientTape() as tape:
        tape.watch(scale)
        w = tf.constant(weight)
        tape.watch(w)
        y = learned.learned_weight(w, scale, 8)
    by_scale, by_weight = tape.gradient(y, [scale, w], upstream)
    inside = 1.0 * (3 - 2.6) + 3.0 * (-1 - -1.0)
    outside = 2.0 * 127 + 4.0 * -127
    share = 1 / np.sqrt(2 * 127)
    np.testing.assert_allclose(by_scale, [[inside * share, outside * share]], rtol=1e-5, atol=1e-6)
    assert by_weight.numpy().tolist() == [[1.0, 0.0], [3.0, 0.0]]
    np.testing.assert_allclose(y, [[0.3, 6.35], [-0.1, -6.35]], rtol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_the_gradient_of_a_range_is_that_of_its_ends(jit):
    x = np.array([[-3.0, -0.3, 0.7, 5.0]], np.float32)
    upstream = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)

    @tf.function(jit_compile=jit)
    def gradients(reach):
        with tf.GradientTape() as tape:
            tape.watch(reach)
            v = tf.constant(x)
            tape.watch(v)
            y = learned.learned_activation(v, reach, 8)
        return y, tape.gradient(y, [v, reach], tf.constant(upstream))

    y, (by_x, (by_below, by_above)) = gradients(tf.constant([1.0, 2.0]))
    scale, zero_point = fake_quant.activation_params(tf.constant(-1.0), tf.constant(2.0))
    wanted = fake_quant.fake_quant(tf.constant(x), scale, zero_point)
    np.testing.assert_allclose(y, wanted, rtol=1e-6)
    moved = (np.asarray(y) - x)[0, 1:3] / float(scale)
    by_scale = (2.0 * moved[0] + 3.0 * moved[1]) / 255
    share = 1 / np.sqrt(4 * 255)
    np.testing.assert_allclose(by_below, share * (by_scale - 1.0), rtol=1e-4)
    np.testing.assert_allclose(by_above, share * (4.0 + by_scale), rtol=1e-4)
    assert np.asarray(by_x).tolist() == [[0.0, 2.0, 3.0, 0.0]]


@pytest.mark.parametrize("what", ["range", "scale"])
def test_the_forward_pass_computes_no_array_for_the_backward_pass_to_wait_for(what):
    """Each array of the gradient comes after its upstream: what can be computed earlier TensorFlow
    computes earlier, and a net then keeps it for every layer at once.
    """
    size = (48, 3)

    @tf.function
    def gradients(x, learned_from, upstream):
        with tf.GradientTape() as tape:
            tape.watch([x, learned_from])
            if what == "range":
                y = learned.learned_activation(x, learned_from, 8)
            else:
                y = learned.learned_weight(x, learned_from, 8)
        return y, tape.gradient(y, [x, learned_from], upstream)

    shape = (2,) if what == "range" else (1, 3)
    given = [tf.TensorSpec(s, tf.float32) for s in (size, shape, size)]
    graph = gradients.get_concrete_function(*given).graph
    y, *found = (t.op for t in graph.outputs)
    after = {graph.inputs[2].op}
    for op in graph.get_operations():  # in the order in which they were made
        if any(before in after for before in (*(t.op for t in op.inputs), *op.control_inputs)):
            after.add(op)
    computed = before_and(found) - before_and([y]) - {graph.inputs[2].op}
    computed = {op for op in computed if op.type != "Identity"}
    arrays = {op for op in computed for t in op.outputs if t.shape == size and t.dtype == "float32"}
    assert arrays
    assert not [op.name for op in arrays - after]


def before_and(operations):
    """The operations and all that they need."""
    found, pending = set(), [*operations]
    while pending:
        op = pending.pop()
        if op not in found:
            found.add(op)
            pending += [*(t.op for t in op.inputs), *op.control_inputs]
    return found


def test_the_scale_to_begin_with_has_less_error_than_the_largest_weight_gives():
    weight = np.random.default_rng(3).standard_t(3, (3, 3, 8, 6)).astype(np.float32)
    errors = []
    for scale in (best_scale(weight, (3,), 4), np.abs(weight).max((0, 1, 2), keepdims=True) / 7):
        errors.append(((np.clip(np.round(weight / scale), -7, 7) * scale - weight) ** 2).sum())
    assert errors[0] < 0.9 * errors[1]


@pytest.mark.parametrize("jit", [False, True])
def test_ranges_and_scales_move_and_stand_still_for_the_last_quarter(jit):
    class Watch(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seen = []

        def on_train_batch_end(self, batch, logs=None):
            self.seen.append(
                np.concatenate([v.reshape(-1) for v in learned_logs(self.model).values()])
            )

    model, watch = nets.compiled(dense() if jit else nets.small(), jit=jit), Watch()
    history = fit(model, QATCallback(ranges="lsq"), watch)
    assert np.isfinite(history.history["loss"]).all()
    assert not watch.seen[0].any()  # the first step of 16 observes
    assert all((a != b).any() for a, b in zip(watch.seen[1:11], watch.seen[2:12], strict=True))
    assert all(np.array_equal(watch.seen[12], later) for later in watch.seen[13:])
    assert np.abs(watch.seen[-1]).max() < 12 * 2.1e-3  # Adam moves a logarithm by its rate
    assert not any(v.trainable for v in model.variables if v.path.endswith("_log"))


def test_learning_lowers_a_loss_that_only_ranges_can_lower():
    """Weights frozen, results of which calibration saw one outlier: their range learns to shrink;
    that of the inputs stays as it was observed.
    """
    model = nets.functional(lambda x: L.Dense(64, use_bias=False)(L.Flatten()(x)))
    kernel = model.layers[-1].kernel
    kernel.assign(300 * np.eye(64))
    model.layers[-1].trainable = False
    model.compile(keras.optimizers.Adam(0.1), "mse")
    x = np.random.default_rng(0).uniform(-1, 1, (256, 8, 8, 1)).astype("float32")
    y = x.reshape(-1, 64)
    model.fit(x, y, verbose=0, callbacks=[QATCallback(ranges="lsq")])
    kernel.assign(np.eye(64))
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=5, verbose=0, callbacks=[QATCallback(ranges="lsq")])
    assert model.evaluate(x, y, verbose=0) < before
    assert not any("input" in path for path in learned_logs(model))


OPTIMIZERS = {
    "SGD with momentum": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
    "AdamW": lambda: keras.optimizers.AdamW(1e-3, weight_decay=0.1),
    "Adam with averages": lambda: keras.optimizers.Adam(1e-3, use_ema=True),
    "accumulated gradients": lambda: keras.optimizers.Adam(1e-3, gradient_accumulation_steps=2),
    "schedule": lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, 50)),
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-3)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_built_optimizer_stays_itself_and_keeps_its_state(name):
    """Eagerly first, then in the graph of a fit."""
    model, optimizer = dense(), OPTIMIZERS[name]()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, run_eagerly=True)
    model.fit(X, Y, epochs=1, batch_size=16, verbose=0)
    before = {v.path: v.numpy() for v in optimizer.variables}

    class Look(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            attach(model, ranges="lsq")
            for variable in model.variables:
                if "int8x_qat/" in variable.path and variable.shape == (3,):
                    variable.assign([0.0, 16.0, 1.0])
            handle_of(model).begin_learning()
            after = {v.path: v.numpy() for v in model.optimizer.variables}
            assert all(np.array_equal(before[path], after[path]) for path in before)
            assert len(after) > len(before)
            private.remake_train_function(model)

    model.fit(X, Y, epochs=1, batch_size=16, verbose=0, callbacks=[Look()])
    assert model.optimizer is optimizer
    strip(model)
    model.run_eagerly = False
    history = fit(model)
    assert np.isfinite(history.history["loss"]).all()
    assert np.abs(np.concatenate([v.reshape(-1) for v in learned_logs(model).values()])).max() > 0


def test_weights_excluded_from_decay_stay_so():
    model, optimizer = eager(), keras.optimizers.AdamW(1e-3, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["kernel"])
    model.optimizer = optimizer
    fit(model)
    kernel = model.layers[1].kernel
    assert not optimizer._use_weight_decay(kernel)


def test_a_learning_rate_of_zero_leaves_ranges_where_calibration_put_them():
    model = nets.compiled(nets.small(), learning_rate=0.0, run_eagerly=True)
    fit(model)
    assert all(not v.any() for v in learned_logs(model).values())


def test_a_second_fit_goes_on_learning_without_observing_again():
    model = eager()
    fit(model)
    first = learned_logs(model)
    observed = {v.path: v.numpy() for v in model.variables if v.shape == (3,)}
    fit(model, epochs=1)
    assert all(
        (learned_logs(model)[path] != value).any() for path, value in first.items() if value.any()
    )
    assert all(np.array_equal(observed[v.path], v) for v in model.variables if v.shape == (3,))


def test_averaged_ranges_become_the_beginning_of_learned_ones():
    model = eager()
    fit(model, QATCallback())
    before = model.predict(X_TEST, verbose=0)
    observed = {v.path: v.numpy() for v in model.variables if "model_input" in v.path}
    attach(model, ranges="lsq")
    after = {v.path: v.numpy() for v in model.variables if v.path in observed}
    assert all(np.array_equal(observed[path], after[path]) for path in observed)
    assert np.array_equal(before, model.predict(X_TEST, verbose=0))


def test_early_stopping_restores_learned_ranges_with_the_weights():
    model = eager()
    stop = keras.callbacks.EarlyStopping(
        monitor="loss", mode="max", patience=1, restore_best_weights=True
    )
    fit(model, QATCallback(ranges="lsq", start_epoch=1), stop, epochs=4)
    assert np.isfinite(model.predict(X_TEST, verbose=0)).all()


def test_strip_takes_learned_variables_away_and_a_fit_goes_on():
    model = nets.compiled(nets.small())
    paths = [v.path for v in model.variables]
    fit(model)
    strip(model)
    assert [v.path for v in model.variables] == paths
    assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"]).all()
    assert not any(private.is_patched(op) for op in private.all_operations(model))


def test_not_a_number_stops_the_fit_with_a_reason_and_ranges_stay_finite():
    model = eager()
    x = X.copy()
    x[40] = np.nan
    with pytest.warns(UserWarning, match="QATCallback: the loss is nan after epoch 0, batch 2"):
        model.fit(
            x,
            Y,
            batch_size=16,
            epochs=3,
            shuffle=False,
            verbose=0,
            callbacks=[QATCallback(ranges="lsq")],
        )
    ranges = [v.numpy() for v in model.variables if "int8x_qat" in v.path]
    assert all(np.isfinite(value).all() for value in ranges)
