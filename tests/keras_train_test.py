"""QATCallback in model.fit: in place, on every kind of model, and out again."""

import copy
import itertools
import pickle

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
import tensorflow as tf
from int8x.keras import QATCallback, attach, private, strip
from int8x.keras.handle import handle_of
from int8x.keras.ranges import SUBLAYER
from keras import layers as L

X, Y, X_TEST, Y_TEST = nets.digits(128, 64)


def fit(model, callback=None, epochs=2, **options):
    callbacks = [QATCallback() if callback is None else callback]
    return model.fit(X, Y, batch_size=32, epochs=epochs, verbose=0, callbacks=callbacks, **options)


def eager(model=None):
    return nets.compiled(nets.small() if model is None else model, run_eagerly=True)


def sites(model):
    return handle_of(model).plan.sites()


def states(model):
    """(low, high, batches) of every learned range, by path."""
    return {v.path: v.numpy() for v in model.variables if "int8x_qat" in v.path}


@pytest.fixture(autouse=True)
def _seeded():
    nets.seed()


@pytest.mark.filterwarnings("ignore:`build")
@pytest.mark.parametrize("kind", nets.KINDS)
def test_every_kind_of_model_trains_in_place_and_learns_every_range(kind):
    model = nets.compiled(nets.KINDS[kind]())
    cls = type(model)
    history = fit(model, QATCallback(freeze_batchnorm=1.0, freeze_ranges=1.0), epochs=1)
    assert np.isfinite(history.history["loss"]).all()
    assert type(model) is cls
    assert states(model) and all(state[2] == 4 for state in states(model).values())
    ranges = handle_of(model).ranges
    for site in sites(model):
        scale, zero_point = ranges.constants(site)
        assert scale > 0 and -128 <= zero_point <= 127


def test_jit_compiled_training_learns_the_same_ranges():
    learned = []
    for jit in (False, True):
        nets.seed()
        net = nets.functional(lambda x: nets.head(L.Conv2D(4, 3, activation="relu")(x)))
        model = nets.compiled(net, jit=jit)
        fit(model, QATCallback(freeze_batchnorm=1.0, freeze_ranges=1.0), epochs=1)
        learned.append(np.array(list(states(model).values())))
    np.testing.assert_allclose(learned[0], learned[1], rtol=2e-3, atol=1e-3)


def test_a_range_is_the_mean_of_the_batches_ends():
    model = eager()
    fit(model, QATCallback(freeze_ranges=1.0), epochs=1, shuffle=False)
    batches = X.reshape(4, 32, -1)
    low, high, seen = next(state for path, state in states(model).items() if "model_input" in path)
    assert seen == 4
    assert low == batches.min((1, 2)).mean()
    np.testing.assert_allclose(high, batches.max((1, 2)).mean(), rtol=1e-6)


def test_after_training_the_outputs_lie_on_the_int8_grid():
    model = eager()
    fit(model)
    site = next(site for site in sites(model) if site.host.name.startswith("dense"))
    scale, _ = handle_of(model).ranges.constants(site)
    steps = model.predict(X_TEST, verbose=0) / np.float32(scale)
    assert np.array_equal(steps, np.round(steps))


class Watch(keras.callbacks.Callback):
    """Notes ranges and BatchNormalization's statistics after every batch."""

    def __init__(self):
        super().__init__()
        self.ranges, self.means = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.ranges.append(np.concatenate(list(states(self.model).values())))
        norm = next(layer for layer in self.model.layers if isinstance(layer, L.BatchNormalization))
        self.means.append(norm.moving_mean.numpy())


def changes(values):
    return [not np.array_equal(a, b) for a, b in itertools.pairwise(values)]


@pytest.mark.parametrize(("epochs", "free"), [(1, 3), (2, 6), (4, 12)])
def test_ranges_and_batchnorm_stand_still_for_the_last_quarter_of_the_steps(epochs, free):
    model, watch = nets.compiled(nets.small()), Watch()
    model.fit(X, Y, batch_size=32, epochs=epochs, verbose=0, callbacks=[QATCallback(), watch])
    wanted = [True] * (free - 1) + [False] * (4 * epochs - free)
    assert changes(watch.ranges) == wanted
    assert changes(watch.means) == wanted


def test_with_unknown_steps_and_two_epochs_the_last_epoch_is_frozen():
    def batches():
        for start in range(0, 128, 32):
            yield X[start : start + 32], Y[start : start + 32]

    data = tf.data.Dataset.from_generator(
        batches, output_signature=(tf.TensorSpec((None, 8, 8, 1)), tf.TensorSpec((None,), tf.int64))
    )
    model, watch = nets.compiled(nets.small()), Watch()
    model.fit(data, epochs=2, verbose=0, callbacks=[QATCallback(), watch])
    assert changes(watch.ranges) == [True] * 3 + [False] * 4
    assert changes(watch.means) == [True] * 3 + [False] * 4


def test_a_share_of_one_never_freezes():
    model, watch = eager(), Watch()
    callback = QATCallback(freeze_batchnorm=1.0, freeze_ranges=0.5)
    model.fit(X, Y, batch_size=32, epochs=2, verbose=0, callbacks=[callback, watch])
    assert all(changes(watch.means))
    assert changes(watch.ranges) == [True] * 3 + [False] * 4


def test_gamma_and_beta_keep_training_when_statistics_are_frozen():
    model = eager()
    norm = next(layer for layer in model.layers if isinstance(layer, L.BatchNormalization))
    fit(model, QATCallback(freeze_batchnorm=0.01), epochs=1)
    assert norm.trainable
    assert not np.array_equal(norm.gamma.numpy(), np.ones(4))


def test_before_start_epoch_the_fit_is_the_plain_float_fit():
    nets.seed()
    plain = nets.compiled(nets.small())
    wanted = plain.fit(X, Y, batch_size=32, epochs=1, verbose=0).history["loss"][0]
    nets.seed()
    model = nets.compiled(nets.small())
    seen = fit(model, QATCallback(start_epoch=1), epochs=2).history["loss"]
    assert seen[0] == pytest.approx(wanted, abs=1e-6)
    assert all(state[2] == 3 for state in states(model).values())


def test_a_fit_that_ends_before_start_epoch_says_so_and_leaves_the_model_float():
    model = eager()
    with pytest.warns(UserWarning, match="start_epoch 2 was wanted, it ended with epoch 0"):
        fit(model, QATCallback(start_epoch=2), epochs=1)
    outputs = model.predict(X_TEST, verbose=0)
    assert np.array_equal(outputs, strip(model).predict(X_TEST, verbose=0))
    fit(model, QATCallback(start_epoch=2), epochs=3, initial_epoch=2)  # a fit may go on
    assert all(state[2] == 3 for state in states(model).values())
    with pytest.warns(UserWarning, match="start_epoch 9"):
        fit(model, QATCallback(start_epoch=9), epochs=1)
    assert handle_of(model).switches.active  # with the ranges of before


def test_early_stopping_restores_weights_and_ranges_together():
    model = eager()
    best = []

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                best.extend(self.model.get_weights())

    stop = keras.callbacks.EarlyStopping(
        monitor="loss", mode="max", baseline=None, patience=1, restore_best_weights=True
    )  # the loss falls, so the first epoch is the "best"
    model.fit(
        X,
        Y,
        batch_size=32,
        epochs=4,
        verbose=0,
        callbacks=[QATCallback(start_epoch=1), Keep(), stop],
    )
    for wanted, got in zip(best, model.get_weights(), strict=True):
        assert np.array_equal(wanted, got)


def test_a_second_fit_goes_on_from_the_learned_ranges():
    model = eager()
    fit(model)
    before = states(model)
    fit(model)
    after = states(model)
    assert list(before) == list(after)
    assert all(after[path][2] == 12 for path in after)


def test_the_same_callback_serves_a_second_fit():
    model, callback = nets.compiled(nets.small()), QATCallback()
    fit(model, callback)
    fit(model, callback)
    assert all(state[2] == 12 for state in states(model).values())


def test_a_fit_without_the_callback_keeps_rounding_and_leaves_the_ranges():
    model = eager()
    fit(model)
    before = states(model)
    kernel = model.layers[1].kernel.numpy()
    model.fit(X, Y, verbose=0)
    assert all(np.array_equal(before[path], state) for path, state in states(model).items())
    assert not np.array_equal(kernel, model.layers[1].kernel.numpy())


def test_a_fit_after_a_float_fit_does_not_reuse_the_float_train_step():
    model = nets.compiled(nets.small())
    model.fit(X, Y, verbose=0)
    fit(model)
    assert all(state[2] == 6 for state in states(model).values())


def test_an_interrupted_fit_leaves_a_usable_model():
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    model = eager()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=32, verbose=0, callbacks=[QATCallback(), Interrupt()])
    assert np.isfinite(model.predict(X_TEST, verbose=0)).all()
    fit(model)
    assert np.isfinite(strip(model).predict(X_TEST, verbose=0)).all()


def test_attached_without_a_batch_seen_the_model_rounds_weights_alone():
    model = eager()
    float_outputs = model.predict(X_TEST, verbose=0)
    attach(model)
    assert np.abs(model.predict(X_TEST, verbose=0) - float_outputs).max() < 0.2


def test_strip_gives_the_plain_model_with_the_trained_weights():
    model = eager(nets.residual())
    paths = [v.path for v in model.variables]
    layers, config = [layer.name for layer in model.layers], model.get_config()
    fit(model, epochs=1)
    twin = keras.Model.from_config(config)
    twin.run_eagerly = True
    strip(model)
    assert [v.path for v in model.variables] == paths
    assert [layer.name for layer in model.layers] == layers
    assert not any(
        private.is_patched(operation) for operation in [model, *private.all_operations(model)]
    )
    twin.set_weights(model.get_weights())
    assert np.array_equal(model.predict(X_TEST, verbose=0), twin.predict(X_TEST, verbose=0))


def test_class_name_and_configuration_stay_and_copies_are_plain():
    """So that load_model needs no custom object."""
    model = eager()
    config = model.get_config()
    fit(model)
    assert model.get_config() == config
    assert "int8x" not in model.to_json()
    assert len(model.layers) == 6
    for twin in (
        keras.models.clone_model(model),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
    ):
        assert handle_of(twin) is None
        assert not any(hasattr(layer, SUBLAYER) for layer in twin.layers)


@pytest.mark.parametrize("ranges", ["average", "lsq"])
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_saved_ranges_come_back_by_attach_and_load(suffix, ranges, tmp_path):
    model = nets.compiled(nets.residual(4), run_eagerly=True)
    fit(model, QATCallback(ranges=ranges), epochs=1)
    path = tmp_path / f"model{suffix}"
    if suffix == ".keras":
        model.save(path)
        twin = keras.saving.load_model(path)
    else:
        model.save_weights(path)
        twin = keras.models.clone_model(model)
        twin.run_eagerly = True
    attach(twin, ranges=ranges)
    twin.load_weights(path)
    assert np.array_equal(model.predict(X_TEST, verbose=0), twin.predict(X_TEST, verbose=0))


def test_what_model_checkpoint_kept_goes_on(tmp_path):
    """Its file is a plain model until it is instrumented again; the export then says how."""
    path = tmp_path / "best.keras"
    kept = keras.callbacks.ModelCheckpoint(path, monitor="loss", save_best_only=True)
    model = nets.compiled(nets.residual(4))
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[QATCallback(), kept])
    best = keras.saving.load_model(path)
    with pytest.raises(ValueError, match=r"no learned ranges.*attach and load_weights"):
        int8x.export(best, tmp_path / "best.tflite")
    attach(best)
    best.load_weights(path)
    assert int8x.export(best, tmp_path / "best.tflite").to_bytes()


def test_a_custom_train_step_is_instrumented():
    class Custom(nets.Subclassed):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return {"loss": loss}

    model = Custom()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    fit(model)
    assert all(state[2] == 6 for state in states(model).values())


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"steps_per_execution": 4}])
def test_ways_to_run_the_steps(options):
    model = nets.compiled(nets.small(), **options)
    fit(model, QATCallback(freeze_ranges=1.0), epochs=1)
    assert all(state[2] == 4 for state in states(model).values())


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_models_train_with_float32_ranges(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = nets.compiled(nets.small())
    finally:
        keras.config.set_dtype_policy("float32")
    fit(model)
    assert len(states(model)) == 3
    assert all(state.dtype == np.float32 and state[2] == 6 for state in states(model).values())


def test_a_batch_with_not_a_number_leaves_the_ranges_finite():
    model = eager()
    x = X.copy()
    x[40] = np.nan
    model.fit(x, Y, batch_size=32, shuffle=False, verbose=0, callbacks=[QATCallback()])
    assert all(np.isfinite(state).all() for state in states(model).values())


def test_frozen_layers_stay_frozen():
    model = nets.small()
    model.layers[1].trainable = False
    eager(model)
    kernel = model.layers[1].kernel.numpy()
    fit(model)
    assert np.array_equal(kernel, model.layers[1].kernel.numpy())


def test_evaluate_reports_the_rounded_model():
    model = nets.compiled(nets.small())
    fit(model, QATCallback(freeze_ranges=1.0, freeze_batchnorm=1.0), epochs=1)
    _, accuracy = model.evaluate(X_TEST, Y_TEST, verbose=0)
    predicted = model.predict(X_TEST, verbose=0).argmax(1)
    assert accuracy == pytest.approx((predicted == Y_TEST).mean(), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"weights": "per_row"}, "weights must be 'per_channel' or 'per_tensor', got 'per_row'"),
        ({"weight_bits": 2}, "weight_bits must be 8 or 4, got 2"),
        ({"activation_bits": True}, "activation_bits must be 8 or 16, got True"),
        ({"ranges": "pact"}, "ranges must be 'average' or 'lsq', got 'pact'"),
        ({"weight_bits": 4, "activation_bits": 16}, "weight_bits 4 goes with activation_bits 8"),
        ({"exclude": (3,)}, "exclude must hold layer names, patterns or layer classes, got 3"),
        ({"start_epoch": -1}, "start_epoch must be a whole number"),
        ({"freeze_ranges": 0}, "freeze_ranges must be a share in (0, 1], got 0"),
        ({"freeze_batchnorm": 1.5}, "freeze_batchnorm must be a share"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(arguments, words):
    with pytest.raises(ValueError) as error:
        QATCallback(**arguments)
    assert words in str(error.value)


class Looped(L.Layer):
    """A layer of a user's own that calls another in a loop."""

    def __init__(self):
        super().__init__(name="memory")
        self.step = L.Dense(8)

    def build(self, shape):
        self.step.build((None, shape[-1]))

    def call(self, x):
        return keras.ops.fori_loop(0, 3, lambda _, y: self.step(y), keras.ops.mean(x, axis=1))


@pytest.mark.parametrize("built", [True, False])
def test_a_model_that_calls_a_layer_in_a_loop_is_refused_by_name_and_stays_plain(built):
    first = [keras.Input((8, 8, 1))] if built else []
    model = keras.Sequential([*first, L.Reshape((8, 8)), Looped(), L.Dense(10)])
    nets.compiled(model)
    with pytest.raises(ValueError, match=r"dense.* runs inside a loop.*exclude=\('memory',\)"):
        fit(model)
    assert handle_of(model) is None
    assert not private.is_patched(model)
    if (
        built
    ):  # a first step that fails leaves Keras's own variables of an unbuilt model without values
        assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"]).all()


def test_models_with_several_inputs_and_outputs_train():
    a, b = keras.Input((8, 8, 1), name="a"), keras.Input((4,), name="b")
    x = L.Concatenate()([L.Flatten()(L.Conv2D(2, 3)(a)), b])
    model = keras.Model({"a": a, "b": b}, [L.Dense(10, name="p")(x), L.Dense(1, name="q")(x)])
    model.compile("adam", "mse")
    inputs = {"a": X, "b": np.full((128, 4), 300.0, np.float32)}
    targets = [np.eye(10)[Y], Y[:, None].astype("float32")]
    model.fit(inputs, targets, verbose=0, epochs=2, callbacks=[QATCallback()])
    groups = {f"{site.host.name} {site.name}": site.group for site in sites(model)}
    conv = next(name for name in groups if "output" in name and "conv" in name)
    joined = [name.split()[1] for name in groups if groups[name] == groups[conv] and name != conv]
    assert joined in (["model_input0"], ["model_input1"])  # b, by the Concatenate
    assert len(model.predict({k: v[:2] for k, v in inputs.items()}, verbose=0)) == 2


def test_other_versions_of_keras_are_refused():
    for version in ("2.15.0", "3.4.1", "4.0.0", "nightly"):
        with pytest.raises(ImportError, match="keras"):
            private.check_version(version)
    for version in ("3.8.0", "3.15.1"):
        private.check_version(version)
