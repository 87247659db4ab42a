"""PruningCallback in model.fit: zeros where the pattern wants them, which then stay zero."""

import itertools

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
import tensorflow as tf
from int8x.keras import (
    ConstantSparsity,
    PolynomialDecay,
    PruningCallback,
    QATCallback,
    keep_zeros,
    strip,
)
from int8x.keras.masks import MaskConstraint
from keras import layers as L

X, Y, X_TEST, _ = nets.digits(128, 64)


@pytest.fixture(autouse=True)
def _seeded():
    nets.seed()


def net(width=8):
    """Convolutions of 1, `width` and 2 * `width` input channels, a depthwise one, and a Dense."""

    def build(x):
        x = L.Conv2D(width, 3, activation="relu", name="first")(x)
        x = L.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
        x = L.ReLU()(L.BatchNormalization()(L.Conv2D(2 * width, 3, name="second")(x)))
        return L.Dense(10, name="dense")(L.GlobalAveragePooling2D()(x))

    return nets.functional(build)


def fit(model, *callbacks, epochs=2, **options):
    return model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0, callbacks=callbacks, **options)


def kernel(model, name):
    return model.get_layer(name).kernel.numpy()


def zeros(model, *names):
    return {name: kernel(model, name) == 0 for name in names}


def shares(model):
    found = zeros(model, "first", "second", "dense")
    return {name: float(mask.mean()) for name, mask in found.items()}


@pytest.mark.parametrize("jit", [False, True])
def test_without_arguments_half_of_the_weights_of_each_layer_become_zero(jit):
    model = nets.compiled(net(), jit=jit)
    callback = PruningCallback()
    history = fit(model, callback)
    assert shares(model) == {"first": 0.5, "second": 0.5, "dense": 0.5}
    assert history.history["sparsity"][-1] == 0.5
    assert not (model.get_layer("depthwise").kernel.numpy() == 0).any()
    assert callback.report.dense["depthwise"] == "depthwise"


def test_blocks_of_input_channels_go_whole_and_layers_that_do_not_divide_are_reported():
    model = nets.compiled(net())
    callback = PruningCallback(sparsity=0.75, block=(1, 4))
    with pytest.warns(UserWarning, match=r"left dense, not in 1x4: first \(1 input channels do"):
        fit(model, callback)
    blocks = (kernel(model, "second") == 0).transpose(3, 0, 1, 2).reshape(16, 9, 2, 4)
    assert np.array_equal(blocks.all(-1), blocks.any(-1))
    assert blocks.mean() == 0.75
    assert shares(model)["first"] == 0
    assert "first" in callback.report.dense and "1x4" in str(callback.report)


def test_blocks_of_output_channels_go_whole():
    model = nets.compiled(net())
    with pytest.warns(UserWarning, match="dense.*10 output channels do not divide by 4"):
        fit(model, PruningCallback(sparsity=0.5, block=(4, 1)))
    blocks = (kernel(model, "second") == 0).reshape(9, 8, 4, 4)
    assert np.array_equal(blocks.all(-1), blocks.any(-1))
    assert blocks.mean() == 0.5


def test_blocks_of_sixteen():
    model = nets.compiled(net())
    with pytest.warns(UserWarning, match="8 input channels do not divide by 16"):
        fit(model, PruningCallback(sparsity=0.5, block=(1, 16)))
    rows = (kernel(model, "dense") == 0).T
    assert np.array_equal(rows.all(1), rows.any(1)) and rows.all(1).sum() == 5


@pytest.mark.parametrize(("pattern", "of"), [("2:4", 4), ("4:8", 8)])
def test_of_every_m_input_channels_n_stay(pattern, of):
    model = nets.compiled(net())
    with pytest.warns(UserWarning, match="first"):
        fit(model, PruningCallback(pattern=pattern))
    groups = (kernel(model, "second") != 0).transpose(3, 0, 1, 2).reshape(-1, of)
    assert np.array_equal(groups.sum(1), np.full(len(groups), of // 2))


def test_global_magnitude_prunes_the_smallest_of_all_layers():
    model = nets.compiled(net(), learning_rate=0.0)
    before = {name: kernel(model, name) for name in ("first", "second", "dense")}
    fit(model, PruningCallback(sparsity=0.6, scope="global", schedule="constant"), epochs=1)
    gone = np.concatenate([np.abs(before[n][z]) for n, z in zeros(model, *before).items()])
    left = np.concatenate([np.abs(before[n][~z]) for n, z in zeros(model, *before).items()])
    assert gone.max() <= left.min()
    assert len(gone) / (len(gone) + len(left)) == pytest.approx(0.6, abs=1e-3)
    assert shares(model)["first"] < 0.6 < shares(model)["second"]


def test_a_layer_is_never_left_without_weights():
    model = nets.functional(lambda x: L.Dense(1, name="last")(L.Dense(4)(L.Flatten()(x))))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    model.layers[2].kernel.assign(100 + np.zeros((64, 4)))
    fit(model, PruningCallback(sparsity=0.9, block=(1, 4), scope="global", schedule="constant"))
    assert (kernel(model, "last") != 0).all()


def test_sparsity_by_layer_name_and_pattern():
    model = nets.compiled(net())
    callback = PruningCallback(sparsity={"first": 0.25, "d*e": 0.75})
    fit(model, callback)
    assert shares(model) == {"first": 0.25, "second": 0.0, "dense": 0.75}
    assert callback.report.dense["second"] == "not named in sparsity"


@pytest.mark.parametrize("entry", ["second", "sec*", L.Conv2D])
def test_layers_are_excluded_by_name_pattern_and_type(entry):
    model = nets.compiled(net())
    callback = PruningCallback(exclude=(entry,))
    fit(model, callback)
    assert shares(model)["second"] == 0 and shares(model)["dense"] == 0.5
    assert callback.report.dense["second"] == "excluded"


class Watch(keras.callbacks.Callback):
    """Notes the zeros of all kernels after every batch."""

    def __init__(self):
        super().__init__()
        self.zeros = []

    def on_train_batch_end(self, batch, logs=None):
        found = zeros(self.model, "first", "second", "dense").values()
        self.zeros.append(np.concatenate([mask.reshape(-1) for mask in found]))


@pytest.mark.parametrize(("epochs", "ramp"), [(1, 4), (2, 8)])
def test_the_ramp_ends_after_half_of_the_steps_and_masks_then_stand_still(epochs, ramp):
    model, watch = nets.compiled(net()), Watch()
    fit(model, PruningCallback(), watch, epochs=epochs)
    shares_seen = [mask.mean() for mask in watch.zeros]
    assert shares_seen[0] == 0
    assert all(a <= b for a, b in itertools.pairwise(shares_seen))
    assert shares_seen[ramp // 2] < shares_seen[ramp] == 0.5
    assert all(np.array_equal(mask, watch.zeros[-1]) for mask in watch.zeros[ramp:])
    assert all((b | ~a).all() for a, b in itertools.pairwise(watch.zeros))  # zeros never return


def test_with_unknown_steps_and_two_epochs_the_second_is_at_the_final_sparsity():
    def batches():
        for start in range(0, 128, 32):
            yield X[start : start + 32], Y[start : start + 32]

    data = tf.data.Dataset.from_generator(
        batches, output_signature=(tf.TensorSpec((None, 8, 8, 1)), tf.TensorSpec((None,), tf.int64))
    )
    model, watch = nets.compiled(net()), Watch()
    model.fit(data, epochs=2, verbose=0, callbacks=[PruningCallback(), watch])
    seen = [mask.mean() for mask in watch.zeros]
    assert 0 < seen[0] < 0.5
    assert seen[4:] == [0.5] * 4


def test_a_schedule_object_is_asked_with_the_optimizers_step():
    model, watch = nets.compiled(net()), Watch()
    fit(model, PruningCallback(schedule=PolynomialDecay(0.25, 0.75, 2, 6, 1, 2)), watch, epochs=1)
    seen = [round(float(mask.mean()), 2) for mask in watch.zeros]
    assert seen == [0, 0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75]


def test_schedules_of_tensors_as_tfmot_gives_them_are_taken():
    class Tfmot:
        def __call__(self, step):
            return tf.greater(step, 2), tf.constant(0.5)

    model = nets.compiled(net())
    fit(model, PruningCallback(schedule=Tfmot()), epochs=1)
    assert shares(model)["second"] == 0.5


def test_a_fit_shorter_than_its_schedule_says_what_it_reached():
    model = nets.compiled(net())
    with pytest.warns(UserWarning, match=r"ended at step 8 with sparsity 0\.\d+, the schedule"):
        fit(model, PruningCallback(schedule=PolynomialDecay(0, 0.9, 0, 100, frequency=1)), epochs=1)


def test_steps_per_execution_skips_no_update():
    model = nets.compiled(net(), steps_per_execution=4)
    fit(model, PruningCallback(schedule=ConstantSparsity(0.5, 1, 1)), epochs=1)
    assert shares(model)["second"] == 0.5


@pytest.mark.filterwarnings("ignore:`build")
@pytest.mark.parametrize("kind", ["unbuilt sequential", "nested", "shared", "subclassed"])
def test_other_kinds_of_models_are_pruned(kind):
    model = nets.compiled(nets.KINDS[kind]())
    callback = PruningCallback()
    fit(model, callback)
    assert callback.report.sparsity == pytest.approx(0.5, abs=0.02)
    before = [layer.kernel.numpy() == 0 for layer in model.layers if hasattr(layer, "kernel")]
    fit(model, epochs=1)
    after = [layer.kernel.numpy() == 0 for layer in model.layers if hasattr(layer, "kernel")]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_zeros_stay_through_fine_tuning_without_the_callback_and_a_new_optimizer():
    model = nets.compiled(net())
    fit(model, PruningCallback())
    before = zeros(model, "first", "second", "dense")
    weights = kernel(model, "second")
    fit(model)
    model.compile("sgd", "sparse_categorical_crossentropy")
    fit(model)
    after = zeros(model, *before)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert not np.array_equal(weights, kernel(model, "second"))


def test_averaged_weights_keep_the_zeros():
    model = net()
    optimizer = keras.optimizers.Adam(2e-3, use_ema=True, ema_momentum=0.9)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    fit(model, PruningCallback())
    assert shares(model)["second"] == 0.5


def test_zeros_stay_through_save_and_load_and_later_training(tmp_path):
    model = nets.compiled(net())
    fit(model, PruningCallback(sparsity=0.75, schedule="constant"), epochs=1)
    model.save(tmp_path / "model.keras")
    before = zeros(model, "first", "second", "dense")
    for continued in ("keep_zeros", "QATCallback", "PruningCallback"):
        twin = keras.saving.load_model(tmp_path / "model.keras")
        assert not any(isinstance(v.constraint, MaskConstraint) for v in twin.trainable_variables)
        if continued == "keep_zeros":
            assert keep_zeros(twin) == ["first", "second", "dense"]
            fit(twin, epochs=1)
        else:
            callback = QATCallback() if continued == "QATCallback" else PruningCallback(0.75)
            fit(twin, callback, epochs=1)
        after = zeros(twin, *before)
        assert all(np.array_equal(before[name], after[name]) for name in before), continued


def test_a_second_pruning_goes_on_from_the_first():
    model, watch = nets.compiled(net()), Watch()
    fit(model, PruningCallback(0.5), epochs=1)
    fit(model, PruningCallback(0.75), watch, epochs=1)
    assert watch.zeros[0].mean() == 0.5
    assert watch.zeros[-1].mean() == 0.75
    fit(model, PruningCallback(0.25), watch, epochs=1)
    assert watch.zeros[-1].mean() == 0.75


def test_the_constraint_that_a_kernel_had_still_holds_and_comes_back():
    model = nets.functional(
        lambda x: L.Dense(10, kernel_constraint=keras.constraints.NonNeg(), name="dense")(
            L.Flatten()(x)
        )
    )
    nets.compiled(model)
    fit(model, PruningCallback())
    assert (kernel(model, "dense") >= 0).all() and (kernel(model, "dense") == 0).mean() >= 0.5
    strip(model)
    assert isinstance(model.get_layer("dense").kernel.constraint, keras.constraints.NonNeg)


def test_strip_lifts_the_masks_and_leaves_a_plain_model():
    model = net()
    paths = [v.path for v in model.variables]
    config = model.get_config()
    nets.compiled(model)
    fit(model, PruningCallback())
    assert model.get_config() == config
    strip(model)
    assert [v.path for v in model.variables] == paths
    assert shares(model)["second"] == 0.5
    fit(model, epochs=1)
    assert shares(model)["second"] < 0.1


def test_an_interrupted_fit_leaves_a_usable_model_with_its_zeros():
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 5:
                raise KeyboardInterrupt

    model = nets.compiled(net())
    with pytest.raises(KeyboardInterrupt):
        fit(model, PruningCallback(), Interrupt())
    share = shares(model)["second"]
    assert 0 < share < 0.5
    fit(model, epochs=1)
    assert shares(model)["second"] == share


def test_frozen_layers_stay_dense_and_are_reported():
    model = net()
    model.get_layer("second").trainable = False
    nets.compiled(model)
    callback = PruningCallback()
    fit(model, callback, epochs=1)
    assert shares(model)["second"] == 0
    assert callback.report.dense["second"] == "frozen"


def test_masks_go_with_their_layers_when_another_is_replaced(tmp_path):
    old = nets.compiled(net(), run_eagerly=True)
    fit(old, PruningCallback(schedule="constant"), QATCallback(), epochs=1)
    before = zeros(old, "first", "second")
    new = L.Dense(5, name="new")(old.layers[-2].output)
    model = nets.compiled(keras.Model(old.inputs, new), run_eagerly=True)

    def stays(share):
        after = zeros(model, *before)
        assert all(np.array_equal(before[name], after[name]) for name in before)
        assert (kernel(model, "new") == 0).mean() == share

    labels = Y % 5
    model.fit(X, labels, verbose=0)
    stays(0)
    callbacks = [PruningCallback(schedule="constant"), QATCallback()]
    model.fit(X, labels, verbose=0, callbacks=callbacks)
    stays(0.5)
    assert not int8x.export(model, tmp_path / "model.tflite").quantization.float_operators


def test_one_kernel_in_two_layers_is_pruned_once():
    model = nets.functional(
        lambda x: L.Dense(16, name="b")(L.Dense(16, name="a")(L.Dense(16)(L.Flatten()(x))))
    )
    object.__setattr__(model.get_layer("b"), "_kernel", model.get_layer("a").kernel)
    nets.compiled(model)
    callback = PruningCallback()
    fit(model, callback, epochs=1)
    assert [row.layer for row in callback.report.layers][1:] == ["a"]
    assert (kernel(model, "b") == 0).mean() == 0.5


def test_the_report_counts_zeros_and_bytes():
    model = nets.compiled(net(16))
    callback = PruningCallback(sparsity=0.875, block=(1, 4))
    with pytest.warns(UserWarning, match="first"):
        fit(model, callback)
    row = next(row for row in callback.report.layers if row.layer == "second")
    assert (row.weights, row.zeros) == (3 * 3 * 16 * 32, 3 * 3 * 16 * 32 * 7 // 8)
    assert row.raw_bytes == row.weights
    assert row.weights / 8 < row.compressed_bytes < row.weights / 3
    assert callback.report.compressed_bytes == sum(
        r.compressed_bytes for r in callback.report.layers
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sparsity": 1.0}, r"sparsity must be a share in \[0, 1\), got 1.0"),
        ({"sparsity": True}, "sparsity must be a share"),
        ({"sparsity": {"a": 2}}, "sparsity must be a share"),
        ({"sparsity": 0.75, "pattern": "2:4"}, "2:4 comes to a sparsity of 0.5, got 0.75"),
        ({"scope": "all"}, "scope must be 'layer', 'global' or 'sensitivity', got 'all'"),
        ({"scope": "global", "sparsity": {"a": 0.5}}, "'global' takes one sparsity"),
        ({"schedule": "cubic"}, "schedule must be 'polynomial', 'constant' or a callable"),
        ({"schedule": ConstantSparsity(0.5), "sparsity": 0.5}, "give one of both"),
        ({"ramp": 1}, r"ramp must be a share in \[0, 1\), got 1"),
        ({"exclude": (3,)}, "exclude must hold layer names, patterns or layer classes, got 3"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        PruningCallback(**arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"exclude": ("third",)}, "no layer of .* fits 'third'; it has first, depthwise, second"),
        ({"exclude": (L.Conv1D,)}, "fits Conv1D"),
        ({"exclude": ("*",)}, "a layer with single weights to prune was wanted, got none"),
        ({"sparsity": {"third": 0.5}}, "no layer to prune is called 'third'"),
    ],
)
def test_what_fits_no_layer_is_refused_in_fit(arguments, words):
    model = nets.compiled(net())
    with pytest.raises(ValueError, match=words):
        fit(model, PruningCallback(**arguments), epochs=1)
