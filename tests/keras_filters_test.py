"""Whole filters: pruned with everything that makes them, then taken out without a change."""

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
from int8_runs import Reference
from int8x.keras import PruningCallback, shrink
from int8x.keras.channels import channels_of
from int8x.keras.handle import handle_of
from keras import layers as L

X, Y, X_TEST, _ = nets.digits(128, 48)


@pytest.fixture(autouse=True)
def _seeded():
    nets.seed()


def fit(model, *callbacks, epochs=2):
    return model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0, callbacks=callbacks)


def conv(x, filters, name, size=3):
    x = L.Conv2D(filters, size, padding="same", use_bias=False, name=name)(x)
    return L.ReLU()(L.BatchNormalization()(x))


def chain(x):
    x = conv(conv(x, 8, "a"), 6, "b")
    return L.Dense(10, name="end")(L.Dense(12, activation="relu", name="d")(L.Flatten()(x)))


def residual(x):
    x = skip = conv(x, 8, "a")
    x = conv(conv(x, 6, "b"), 8, "c")
    return L.Dense(10, name="end")(L.GlobalAveragePooling2D()(L.Add()([skip, x])))


def inverted(x):
    """A MobileNetV2-like block with its depthwise convolution and biases everywhere."""
    x = skip = L.Conv2D(8, 3, padding="same", name="a")(x)
    x = L.ReLU(max_value=6)(L.BatchNormalization()(L.Conv2D(16, 1, name="up")(x)))
    x = L.ReLU()(L.DepthwiseConv2D(3, padding="same", name="depthwise")(x))
    x = L.Add()([skip, L.Conv2D(8, 1, name="down")(x)])
    x = L.SeparableConv2D(12, 3, activation="relu", name="separable")(L.MaxPooling2D(2)(x))
    return L.Dense(10, name="end")(L.GlobalAveragePooling2D()(x))


def joined(x):
    x = L.Concatenate()([conv(x, 8, "a"), conv(x, 4, "b", 1)])
    return L.Dense(10, name="end")(L.GlobalMaxPooling2D()(conv(x, 6, "c")))


NETS = {"chain": chain, "residual": residual, "inverted": inverted, "joined": joined}


@pytest.mark.parametrize("name", NETS)
def test_pruned_filters_are_taken_out_and_the_outputs_stay(name):
    model = nets.compiled(nets.functional(NETS[name]))
    callback = PruningCallback(0.5, pattern="filters")
    fit(model, callback)
    small = shrink(model)
    for layer in ("a", "b", "c", "d", "up", "separable"):
        if any(layer == found.name for found in model.layers):
            old, new = model.get_layer(layer), small.get_layer(layer)
            assert 2 * new.output.shape[-1] == old.output.shape[-1], layer
    assert small.count_params() < 0.6 * model.count_params()
    wanted = model.predict(X_TEST, verbose=0)
    np.testing.assert_allclose(small.predict(X_TEST, verbose=0), wanted, atol=1e-4, rtol=1e-4)
    assert type(small) is type(model) and small.output_shape == model.output_shape


def test_filters_that_an_addition_joins_go_together():
    model = nets.compiled(nets.functional(residual))
    fit(model, PruningCallback(0.5, pattern="filters"))
    a, c = (np.abs(model.get_layer(n).kernel.numpy()).sum((0, 1, 2)) == 0 for n in "ac")
    assert np.array_equal(a, c) and a.sum() == 4


def test_a_shrunk_model_trains_on_and_exports(tmp_path):
    model = nets.compiled(nets.functional(residual))
    fit(model, PruningCallback(0.5, pattern="filters"))
    small = nets.compiled(shrink(model))
    fit(small, int8x.QATCallback())
    graph = int8x.export(small, tmp_path / "model.tflite")
    assert graph.main.operators[0].outputs[0].shape[-1] == 4
    run = Reference(tmp_path / "model.tflite")
    off = np.abs(run(X_TEST) - run.steps_from(small.predict(X_TEST, verbose=0)))
    assert off.max() <= 2


@pytest.mark.parametrize("first", [PruningCallback, int8x.QATCallback])
def test_a_fit_with_both_callbacks_prunes_filters_and_learns_ranges(first):
    model = nets.compiled(nets.functional(residual))
    callbacks = [PruningCallback(0.5, pattern="filters"), int8x.QATCallback()]
    fit(model, *(callbacks if first is PruningCallback else callbacks[::-1]), epochs=1)
    assert (np.abs(model.get_layer("a").kernel.numpy()).sum((0, 1, 2)) == 0).sum() == 4
    assert handle_of(model).has_ranges()


def test_sequential_and_nested_models_shrink():
    inner = nets.functional(lambda x: conv(conv(x, 8, "a"), 6, "b"))
    models = {
        "sequential": keras.Sequential(
            [keras.Input((8, 8, 1)), L.Conv2D(8, 3, name="a"), L.ReLU(), L.Flatten(), L.Dense(10)]
        ),
        "nested": nets.functional(lambda x: nets.head(inner(x))),
    }
    for model in models.values():
        nets.compiled(model)
        fit(model, PruningCallback(0.5, pattern="filters"))
        small = shrink(model)
        assert small.count_params() < 0.7 * model.count_params()
        wanted = model.predict(X_TEST, verbose=0)
        np.testing.assert_allclose(small.predict(X_TEST, verbose=0), wanted, atol=1e-4, rtol=1e-4)


def squeezed(x, gate):
    """Channels of "a", each times a gate that is made of all."""
    x = conv(x, 8, "a")
    x = L.Multiply()([x, gate(L.GlobalAveragePooling2D(keepdims=True)(x))])
    return L.Dense(10, name="end")(L.GlobalAveragePooling2D()(conv(x, 6, "b")))


def by_sigmoid(x):
    y = L.Dense(8, activation="sigmoid", name="gate")(L.Flatten()(L.Conv2D(4, 1, name="s")(x)))
    return L.Reshape((1, 1, 8))(y)


def by_hard_sigmoid(x):
    """As MobileNetV3 has it."""
    x = L.Conv2D(8, 1, name="gate")(L.Conv2D(4, 1, activation="relu", name="s")(x))
    return L.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)


GATES = {
    "sigmoid": by_sigmoid,
    "hard_sigmoid": by_hard_sigmoid,
    "sigmoid of keras.ops": lambda x: keras.ops.sigmoid(L.Conv2D(8, 1, name="gate")(x)),
    "an Activation": lambda x: L.Activation("hard_sigmoid")(L.Conv2D(8, 1, name="gate")(x)),
}


@pytest.mark.parametrize("name", GATES)
def test_a_gate_goes_with_the_channels_it_multiplies(name, tmp_path):
    model = nets.compiled(nets.functional(lambda x: squeezed(x, GATES[name])))
    fit(model, PruningCallback(0.5, pattern="filters"))
    small = shrink(model)
    for layer in ("a", "gate"):
        assert small.get_layer(layer).kernel.shape[-1] == 4
    wanted = model.predict(X_TEST, verbose=0)
    np.testing.assert_allclose(small.predict(X_TEST, verbose=0), wanted, atol=1e-4, rtol=1e-4)
    fit(nets.compiled(small), int8x.QATCallback())
    int8x.export(small, tmp_path / "small.tflite")
    assert {kind for _, kind in Reference(tmp_path / "small.tflite").operators()} == {"int8"}


NO_GATES = {
    "read twice": lambda x, y: L.Concatenate()([L.Multiply()([x, y]), y]),
    "a product of gates": lambda x, y: L.Multiply()([keras.ops.sigmoid(x), y]),
    "added": lambda x, y: L.Add()([x, y]),
    "pooled": lambda x, y: L.Multiply()([x, L.MaxPooling2D(1)(y)]),
    "a factor of each channel": lambda x, y: L.Multiply()([x, y * np.ones(8, "float32")]),
}


@pytest.mark.parametrize("name", NO_GATES)
def test_what_is_not_zero_where_its_channel_is_stays(name):
    def body(x):
        x = conv(x, 8, "a")
        y = L.Conv2D(8, 1, activation="sigmoid", name="gate")(x)
        return L.Dense(10, name="end")(L.GlobalAveragePooling2D()(NO_GATES[name](x, y)))

    model = nets.functional(body)
    channels = channels_of(model)
    assert channels.pinned(channels.makes[id(model.get_layer("gate"))]).all()


def test_channels_that_reach_the_end_stay():
    model = nets.compiled(nets.functional(residual))
    callback = PruningCallback(0.5, pattern="filters")
    fit(model, callback, epochs=1)
    assert callback.report.dense["end"] == "its channels cannot go"
    assert shrink(model).get_layer("b").filters == 3


def test_excluded_and_frozen_layers_keep_their_filters():
    model = nets.functional(chain)
    model.get_layer("b").trainable = False
    nets.compiled(model)
    fit(model, PruningCallback(0.5, pattern="filters", exclude=("a",)), epochs=1)
    small = shrink(model)
    assert (small.get_layer("a").filters, small.get_layer("b").filters) == (8, 6)
    assert small.get_layer("d").units == 6


def test_one_channel_of_a_layer_always_stays():
    model = nets.compiled(nets.functional(chain))
    for name in ("a", "b"):
        layer = model.get_layer(name)
        layer.kernel.assign(0 * layer.kernel)
    assert [shrink(model).get_layer(name).filters for name in ("a", "b")] == [1, 1]


def test_a_model_without_dead_channels_keeps_its_size():
    model = nets.compiled(nets.functional(inverted))
    fit(model, epochs=1)
    small = shrink(model)
    assert small.count_params() == model.count_params()
    assert np.array_equal(small.predict(X_TEST, verbose=0), model.predict(X_TEST, verbose=0))


def test_a_filter_that_is_zero_but_for_its_bias_stays():
    model = nets.functional(lambda x: nets.head(L.Conv2D(4, 3, name="a")(x)))
    layer = model.get_layer("a")
    kernel = layer.kernel.numpy()
    kernel[..., :2] = 0
    layer.kernel.assign(kernel)
    layer.bias.assign([0.0, 1.0, 0.0, 0.0])
    assert shrink(model).get_layer("a").filters == 3


def test_flatten_repeats_the_channels_it_flattens():
    model = nets.functional(
        lambda x: L.Dense(2, name="d")(L.Flatten()(L.Conv2D(3, 7, name="a")(x)))
    )
    channels = channels_of(model)
    made = channels.makes[id(model.get_layer("a"))]
    assert np.array_equal(channels.reads[id(model.get_layer("d"))], np.tile(made, 4))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (nets.unbuilt_sequential, "a built Sequential or Functional model was wanted"),
        (nets.Subclassed, "got Subclassed"),
    ],
)
def test_other_models_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        shrink(make())


def test_an_instrumented_model_is_refused():
    model = nets.small()
    int8x.keras.attach(model)
    with pytest.raises(ValueError, match="shrink it before QATCallback, or strip it first"):
        shrink(model)


def test_a_net_without_filters_that_can_go_is_refused():
    model = nets.compiled(nets.functional(lambda x: L.Dense(10)(L.Flatten()(x))))
    with pytest.raises(ValueError, match="a layer with filters to prune was wanted, got none"):
        fit(model, PruningCallback(pattern="filters"))
