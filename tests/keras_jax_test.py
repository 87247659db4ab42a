"""Models of Keras's JAX backend train in `fit` and leave the file that they were trained for."""

import os

os.environ["KERAS_BACKEND"] = "jax"
# Of JAX alone, and TensorFlow's process must not see it: less time compiling, the same results.
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
from int8_runs import Reference
from int8x.keras.handle import handle_of, in_float
from int8x.keras.handover import trained_kernels
from int8x.keras.masks import mask_of
from int8x.keras.prunable import kernels_of
from keras import layers as L
from trained_nets import off

assert keras.backend.backend() == "jax", "run this file in a process of its own"
X, Y, X_TEST, _ = nets.digits(128, 100)
KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "FULLY_CONNECTED")
BLOCK = {"sparsity": 0.75, "block": (1, 4), "exclude": ("first",)}


def net():
    """The layers that the JAX backend is asked for."""

    def build(x):
        x = L.ReLU()(L.BatchNormalization()(L.Conv2D(8, 3, use_bias=False, name="first")(x)))
        x = L.DepthwiseConv2D(3, use_bias=False, name="depthwise")(x)
        x = L.Dropout(0.1)(L.ReLU(max_value=6)(L.BatchNormalization()(x)))
        x = L.ReLU()(L.BatchNormalization()(L.Conv2D(16, 1, name="pointwise")(x)))
        return L.Dense(12, name="dense")(L.GlobalAveragePooling2D()(x))

    return nets.functional(build)


def fit(model, *callbacks, epochs=2, **options):
    return model.fit(
        X, Y, batch_size=16, epochs=epochs, verbose=0, callbacks=list(callbacks), **options
    ).history


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A model of one fit with both callbacks, its history and its file."""
    nets.seed()
    model = nets.compiled(net(), jit=True)
    callbacks = int8x.PruningCallback(**BLOCK), int8x.QATCallback()
    history = fit(model, *callbacks, validation_data=(X[:16], Y[:16]))
    path = tmp_path_factory.mktemp("both") / "model.tflite"
    return model, history, path, int8x.export(model, path)


def test_a_fit_with_both_callbacks_learns_prunes_and_logs(both):
    model, history, _, _ = both
    assert history["sparsity"][-1] == 0.75
    assert np.isfinite(history["val_loss"]).all()
    ranges = handle_of(model).ranges
    assert ranges.complete() and all(
        np.isfinite(ranges.variable(site).numpy()).all()
        for sites in ranges.members.values()
        for site in sites
    )


def test_ranges_and_statistics_stand_still_in_the_last_quarter_and_move_before(both):
    model = both[0]
    seen = {
        float(handle_of(model).ranges.variable(site)[2])
        for sites in handle_of(model).ranges.members.values()
        for site in sites
    }
    assert seen == {12.0}  # of 16 steps
    assert np.abs(model.get_layer("batch_normalization").moving_mean.numpy()).max() > 0


def test_the_file_is_full_int8_and_holds_the_trained_scales_and_weights(both):
    model, _, path, graph = both
    assert {kind for _, kind in Reference(path).operators()} == {"int8"}
    kernels = {kernel.layer: kernel for kernel in trained_kernels(handle_of(model))}
    operators = [op for op in graph.main.operators if op.kind in KINDS]
    assert tuple(op.kind for op in operators) == KINDS
    for op, name in zip(operators, ("first", "depthwise", "pointwise", "dense"), strict=True):
        axis = 3 if op.kind == "DEPTHWISE_CONV_2D" else 0
        rows = np.moveaxis(op.inputs[1].data, axis, 0).reshape(kernels[name].steps.shape)
        alive = rows.any(1)
        np.testing.assert_array_equal(rows, kernels[name].steps)
        scales = np.asarray(op.inputs[1].quant.scales)
        np.testing.assert_allclose(scales[alive], kernels[name].scales[alive], rtol=1e-6)


def test_its_activations_have_the_trained_scales_and_zero_points(both):
    model, _, _, graph = both
    ranges = handle_of(model).ranges
    trained = {ranges.constants(sites[0]) for sites in ranges.members.values()}
    tensors = [graph.main.inputs[0], *(op.outputs[0] for op in graph.main.operators)]
    in_file = {(float(t.quant.scales[0]), int(t.quant.zero_points[0])) for t in tensors}
    assert in_file == trained


def test_the_models_outputs_are_the_files(both):
    model, _, path, _ = both
    run = Reference(path)
    off = np.abs(run(X_TEST) - run.steps_from(model.predict(X_TEST, verbose=0)))
    assert (off <= 1).mean() >= 0.99


def test_zeros_of_the_fit_are_zeros_of_the_file(both):
    model, _, _, graph = both
    weights = {op.kind: op.inputs[1].data for op in graph.main.operators if len(op.inputs) > 1}
    wanted = model.get_layer("pointwise").kernel.numpy().transpose(3, 0, 1, 2) == 0
    assert wanted.mean() >= 0.75
    assert (weights["CONV_2D"][wanted] == 0).all()
    assert (weights["FULLY_CONNECTED"].reshape(-1, 4) == 0).all(1).mean() >= 0.75


def test_uneven_channels_are_evened_out_and_the_net_stays():
    nets.seed()
    model = nets.compiled(net(), learning_rate=0.0)
    fit(model, epochs=1)  # the optimizer goes on with what it keeps
    norms = [layer for layer in model.layers if isinstance(layer, L.BatchNormalization)]
    for norm in norms:
        norm.gamma.assign(2.0 ** np.resize([-6.0, 0.0, 3.0, 6.0], norm.gamma.shape))
    wanted, gamma = model.predict(X_TEST, verbose=0), norm.gamma.numpy()
    handle = int8x.keras.attach(model)
    handle.equalize()
    assert set(handle.equalized) == {norms[0].name, norms[2].name}  # behind the second is ReLU6
    assert not np.array_equal(norm.gamma.numpy(), gamma)
    with in_float(model):
        assert np.array_equal(model.predict(X_TEST, verbose=0), wanted)
    int8x.keras.strip(model)
    norm.gamma.assign(gamma**2)
    callback = int8x.QATCallback()
    fit(model, callback, epochs=1)
    assert set(callback.equalized) == {norm.name}


OTHER_GRIDS = {
    "4-bit weights, one scale for a kernel": ({"weight_bits": 4, "weights": "per_tensor"}, 2),
    "16-bit activations": ({"activation_bits": 16}, 8),  # beyond what float32 sums hold
}


@pytest.mark.parametrize("name", OTHER_GRIDS)
def test_other_grids_of_training_are_those_of_the_file(name, tmp_path):
    settings, most = OTHER_GRIDS[name]
    nets.seed()
    model = nets.compiled(net(), jit=True)
    fit(model, int8x.QATCallback(**settings), epochs=1)
    graph = int8x.export(model, tmp_path / "model.tflite")
    weighted = [op for op in graph.main.operators if op.kind in KINDS]
    for op, kernel in zip(weighted, trained_kernels(handle_of(model)), strict=True):
        axis = 3 if op.kind == "DEPTHWISE_CONV_2D" else 0
        rows = np.moveaxis(op.inputs[1].data, axis, 0).reshape(kernel.steps.shape)
        np.testing.assert_array_equal(rows, kernel.steps, kernel.layer)
        np.testing.assert_allclose(op.inputs[1].quant.scales, kernel.scales, rtol=1e-6)
        assert op.inputs[1].dtype == ("INT4" if kernel.bits == 4 else "INT8")
    bits = settings.get("activation_bits", 8)
    assert {t.dtype for op in graph.main.operators for t in op.outputs} == {f"INT{bits}"}
    assert off(model, tmp_path / "model.tflite").max() <= most


def test_pruned_filters_are_taken_out_and_the_outputs_stay():
    nets.seed()
    model = nets.compiled(net(), jit=True)
    fit(model, int8x.PruningCallback(0.5, pattern="filters", schedule="constant"), epochs=1)
    small = int8x.keras.shrink(model)
    assert small.get_layer("pointwise").kernel.shape == (1, 1, 4, 8)
    np.testing.assert_allclose(
        small.predict(X_TEST, verbose=0), model.predict(X_TEST, verbose=0), atol=1e-4
    )


def test_zeros_stay_through_later_fits_without_the_callback_and_with_quantization():
    nets.seed()
    model = nets.compiled(nets.small(), jit=True)
    fit(model, int8x.PruningCallback(schedule=int8x.keras.PolynomialDecay(0.0, 0.5, 0, 4, 1.0, 2)))
    zeros = {k.layer.name: k.value() == 0 for k in kernels_of(model)}
    assert all(0.45 <= zero.mean() <= 0.55 for zero in zeros.values())
    model.compile(keras.optimizers.AdamW(1e-2), model.loss)
    fit(model, epochs=1)
    fit(model, int8x.QATCallback(), epochs=1)
    for kernel in kernels_of(model):
        np.testing.assert_array_equal(kernel.value()[zeros[kernel.layer.name]], 0)
        np.testing.assert_array_equal(mask_of(kernel), ~zeros[kernel.layer.name])


def test_a_float_model_is_calibrated_and_a_stripped_one_is_plain(tmp_path):
    nets.seed()
    model = nets.compiled(nets.small(), jit=True)
    before = model.predict(X_TEST, verbose=0)
    int8x.keras.attach(model)
    int8x.keras.strip(model)
    assert not {"call", "train_step", "test_step"} & set(vars(model))
    np.testing.assert_array_equal(model.predict(X_TEST, verbose=0), before)
    with pytest.raises(ValueError, match="no learned ranges"):
        int8x.export(model, tmp_path / "none.tflite")
    int8x.export(model, tmp_path / "model.tflite", data=X)
    run = Reference(tmp_path / "model.tflite")
    assert {kind for _, kind in run.operators()} == {"int8"}
    assert (run(X_TEST).argmax(1) == before.argmax(1)).mean() >= 0.9


@keras.saving.register_keras_serializable(package="tests")
class Doubled(L.Layer):
    """A layer that the converting process cannot know."""

    def call(self, x):
        return 2 * x


def test_what_fails_in_the_other_process_comes_back_with_its_message(tmp_path):
    model = nets.functional(lambda x: nets.head(Doubled(name="double")(x)))
    with pytest.raises(int8x.errors.ModelError, match="Could not locate class 'Doubled'"):
        int8x.keras.convert(model)


def test_a_transformer_is_trained_and_exported_as_on_tensorflow(tmp_path):
    def block(x):
        x = L.EinsumDense("abc,cd->abd", (8, 12), bias_axes="d")(L.Reshape((8, 8))(x))
        y = L.LayerNormalization()(x)
        x = L.Add()([x, L.MultiHeadAttention(2, 6)(y, y, use_causal_mask=True)])
        return nets.head(L.RMSNormalization()(x))

    nets.seed()
    model = nets.compiled(nets.functional(block), jit=True)
    fit(model, int8x.QATCallback())
    graph = int8x.export(model, tmp_path / "model.tflite")
    assert {t.dtype for op in graph.main.operators for t in op.outputs} == {"INT8"}
    apart = off(model, tmp_path / "model.tflite")
    assert apart.max() <= 1 and (apart == 0).mean() >= 0.99


def attention(x):
    rows = L.Reshape((8, 8))(x)
    return nets.head(L.Attention(name="alone")([rows, rows]))


REFUSED = {
    "attention without projections": (
        lambda: nets.functional(attention),
        {},
        "Attention 'alone'",
    ),
    "a layer of one's own": (
        lambda: nets.functional(lambda x: nets.head(Doubled(name="double")(x))),
        {},
        "Doubled 'double'.*exclude what stays in float",
    ),
    "a recurrent layer": (
        lambda: nets.functional(
            lambda x: L.Dense(10)(L.LSTM(4, name="cell")(L.Reshape((8, 8))(x)))
        ),
        {},
        "LSTM 'cell'",
    ),
    "learned ranges": (net, {"ranges": "lsq"}, "ranges 'average' was wanted, got 'lsq'"),
    "a subclassed model": (nets.Subclassed, {}, "Sequential or Functional model was wanted"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_carried_is_refused_by_name_before_training(name):
    make, settings, words = REFUSED[name]
    model = nets.compiled(make())
    model(X[:1])
    before = [variable.numpy() for variable in model.weights]
    with pytest.raises(ValueError, match=words):
        fit(model, int8x.QATCallback(**settings))
    for variable, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_mixed_precision_and_functions_of_tensorflow_alone_are_refused():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = nets.sequential()
    finally:
        keras.config.set_dtype_policy("float32")
    with pytest.raises(ValueError, match="float32 was wanted, got the policy 'mixed_float16'"):
        int8x.keras.attach(model)
    for name, call in {
        "qat": lambda: int8x.keras.qat(model),
        "distill": lambda: int8x.keras.distill(model, model),
        "transfer": lambda: int8x.keras.transfer(model, 10, (X, Y), "file.tflite"),
    }.items():
        with pytest.raises(ImportError, match=f"{name}: the tensorflow backend was wanted"):
            call()


def test_zeros_stay_in_fits_of_a_part_and_of_a_larger_model():
    nets.seed()
    part = nets.functional(lambda x: L.Flatten()(L.Conv2D(8, 3, name="inner")(x)))
    whole = nets.compiled(nets.functional(lambda x: L.Dense(10)(part(x))), jit=True)
    fit(whole, int8x.PruningCallback(schedule="constant", exclude=("dense*",)), epochs=1)
    zeros = part.get_layer("inner").kernel.numpy() == 0
    larger = nets.compiled(nets.functional(lambda x: L.Dense(10)(part(x))), jit=True)
    fit(larger, epochs=1)
    part.compile("adam", "mse")
    part.fit(X[:16], np.ones((16, 288), np.float32), verbose=0)
    np.testing.assert_array_equal(part.get_layer("inner").kernel.numpy() == 0, zeros)
    assert zeros.mean() == 0.5
