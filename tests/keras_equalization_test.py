"""Before quantization-aware training uneven channels are evened out; the float model stays."""

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
from int8x.keras.handle import handle_of
from int8x.keras.masks import mask_of
from int8x.keras.optimizer_slots import rescale
from int8x.keras.prunable import kernels_of
from keras import layers as L

X, Y, X_TEST, _ = nets.digits(64, 48)


@pytest.fixture(autouse=True)
def _seeded():
    nets.seed()


def unit(x, filters, name, size=3):
    x = L.Conv2D(filters, size, padding="same", use_bias=False, name=name)(x)
    return L.BatchNormalization(name=f"{name}_norm")(x)


def end(x):
    return L.Dense(10, name="end")(L.GlobalAveragePooling2D()(x))


def chain(x):
    x = L.MaxPooling2D()(L.ReLU()(unit(x, 8, "a")))
    x = L.Dropout(0.1)(L.Conv2D(12, 3, padding="same", activation="relu", name="b")(x))
    return L.Dense(10, name="end")(L.Dense(16, activation="relu", name="d")(L.Flatten()(x)))


def residual(x):
    x = skip = L.ReLU()(unit(x, 8, "a"))
    x = unit(L.ReLU()(unit(x, 6, "b")), 8, "c")
    return end(L.ReLU()(L.Add()([skip, x])))


def depthwise(x):
    x = L.LeakyReLU(negative_slope=0.25)(unit(x, 8, "a"))
    x = L.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="depthwise")(x)
    x = L.SeparableConv2D(12, 3, depth_multiplier=2, activation="relu", name="separable")(x)
    return end(L.ReLU()(unit(x, 6, "b")))


def joined(x):
    x = L.Concatenate()([L.ReLU()(unit(x, 8, "a")), L.Conv2D(12, 1, name="b")(x)])
    return end(L.Conv2DTranspose(6, 3, activation="relu", name="c")(L.ZeroPadding2D()(x)))


def shared(x):
    twice = L.Conv2D(8, 3, padding="same", activation="relu", name="twice")
    return end(twice(twice(L.ReLU()(unit(x, 8, "a")))))


def nested(x):
    return end(nets.functional(lambda x: L.ReLU()(unit(L.ReLU()(unit(x, 8, "a")), 6, "b")))(x))


NETS = {
    "chain": (chain, {"a_norm", "b", "d"}),
    "residual": (residual, {"a_norm", "b_norm", "c_norm"}),
    "depthwise": (depthwise, {"a_norm", "depthwise", "separable", "b_norm"}),
    "joined": (joined, {"a_norm", "b", "c"}),
    "shared": (shared, {"a_norm", "twice"}),
    "nested": (nested, {"a_norm", "b_norm"}),
}


def scatter(model):
    """Every gamma, and every kernel and bias by output channel, times powers of two up to 2^6."""
    random = np.random.default_rng(nets.SEED)
    for layer in model._flatten_layers(include_self=False):
        if not layer.weights or isinstance(layer, keras.Model) or layer.name == "end":
            continue
        factors = 2.0 ** random.permutation(np.rint(np.linspace(-6, 6, layer.output.shape[-1])))
        if isinstance(layer, L.BatchNormalization):
            layer.gamma.assign(factors)
            layer.beta.assign(random.normal(size=len(factors)) * factors)
            continue
        for name in ("pointwise_kernel", "kernel", "bias"):
            variable = getattr(layer, name, None)
            if isinstance(variable, keras.Variable):
                value = variable.numpy()
                if isinstance(layer, L.DepthwiseConv2D) and value.ndim == 4:
                    value = (value.reshape(3, 3, -1) * factors).reshape(value.shape)
                elif isinstance(layer, L.Conv2DTranspose) and value.ndim == 4:
                    value = value * factors[:, None]
                else:
                    value = value * factors
                variable.assign(value)
    return model


def equalized(model):
    """The layers whose channels were rescaled; the model is plain again."""
    handle = int8x.keras.attach(model)
    handle.equalize()
    found = dict(handle.equalized)
    int8x.keras.strip(model)
    return found


def values(model):
    return [v.numpy() for v in model.variables]


@pytest.mark.parametrize("name", NETS)
def test_uneven_channels_are_rescaled_and_the_float_model_computes_the_same_bits(name):
    build, layers = NETS[name]
    model = scatter(nets.functional(build))
    wanted = model(X_TEST).numpy()
    assert set(equalized(model)) == layers
    assert np.array_equal(model(X_TEST).numpy(), wanted) and np.ptp(wanted) > 0
    assert equalized(model) == {}  # they are even now


def scaled_apart(model):
    """The same function: the channels behind each BatchNormalization times powers of two."""
    random = np.random.default_rng(nets.SEED)
    for norm, reader in (("a_norm", "b"), ("b_norm", "end")):
        norm, reader = model.get_layer(norm), model.get_layer(reader)
        factors = 2.0 ** random.integers(-4, 5, norm.gamma.shape[0])
        norm.gamma.assign(norm.gamma * factors)
        norm.beta.assign(norm.beta * factors)
        reader.kernel.assign(reader.kernel / factors[:, None])
    return model


def straight(x):
    return end(L.ReLU()(unit(L.ReLU()(unit(x, 16, "a")), 24, "b")))


def test_channels_made_uneven_become_as_even_as_they_were():
    model = nets.functional(straight)
    inner = keras.Model(model.inputs, [model.get_layer(n).output for n in ("a_norm", "b_norm")])
    before = [np.abs(x).max((0, 1, 2)) for x in inner.predict(X_TEST, verbose=0)]
    scaled_apart(model)
    apart = [np.abs(x).max((0, 1, 2)) for x in inner.predict(X_TEST, verbose=0)]
    assert set(equalized(model)) == {"a_norm", "b_norm"}
    after = [np.abs(x).max((0, 1, 2)) for x in inner.predict(X_TEST, verbose=0)]
    for was, made, now in zip(before, apart, after, strict=True):
        assert np.ptp(np.log2(made / was)) >= 7
        # Whole powers of two, of what differed from a power by less than a half either way.
        assert np.ptp(np.log2(now / was)) <= 1


def test_even_nets_stay_as_they_are():
    for build, _ in NETS.values():
        model = nets.functional(build)
        wanted = values(model)
        assert equalized(model) == {}
        assert all(map(np.array_equal, values(model), wanted))


def test_a_fit_evens_out_once_before_its_first_step_and_exports(tmp_path):
    model = nets.compiled(scaled_apart(nets.functional(straight)), learning_rate=0.0)
    callback = int8x.QATCallback()
    model.fit(X, Y, batch_size=16, epochs=1, verbose=0, callbacks=[callback])
    counts = callback.equalized
    assert set(counts) == {"a_norm", "b_norm"} and 16 <= sum(counts.values()) <= 40
    wanted = model.get_layer("a_norm").gamma.numpy()
    again = int8x.QATCallback()
    scaled_apart(model)
    model.fit(X, Y, batch_size=16, epochs=1, verbose=0, callbacks=[again])
    assert again.equalized == {}  # ranges are there already
    assert not np.array_equal(model.get_layer("a_norm").gamma.numpy(), wanted)
    int8x.export(model, tmp_path / "model.tflite")


def test_it_waits_for_the_epoch_in_which_rounding_begins():
    model = nets.compiled(scaled_apart(nets.functional(straight)), learning_rate=0.0)
    callback, gammas = int8x.QATCallback(start_epoch=1), []
    see = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: gammas.append(model.get_layer("a_norm").gamma.numpy())
    )
    start = model.get_layer("a_norm").gamma.numpy()
    model.fit(X, Y, batch_size=32, epochs=2, verbose=0, callbacks=[see, callback])
    assert np.array_equal(gammas[0], start) and not np.array_equal(gammas[1], start)


def test_equalize_false_leaves_every_weight_and_others_are_refused():
    model = nets.compiled(scaled_apart(nets.functional(straight)), learning_rate=0.0)
    wanted = model.get_layer("a_norm").gamma.numpy()
    callback = int8x.QATCallback(equalize=False)
    model.fit(X[:16], Y[:16], epochs=1, verbose=0, callbacks=[callback])
    assert callback.equalized == {}
    assert np.array_equal(model.get_layer("a_norm").gamma.numpy(), wanted)
    with pytest.raises(ValueError, match="equalize must be True or False, got 'yes'"):
        int8x.QATCallback(equalize="yes")
    with pytest.raises(ValueError, match="PruningCallback: equalize must be True or False, got 0"):
        int8x.PruningCallback(equalize=0)
    with pytest.raises(ValueError, match="qat: equalize must be"):
        int8x.keras.qat(model, equalize=1)


@pytest.mark.parametrize("pruning_first", [True, False])
def test_equalize_false_holds_for_pruning_in_the_same_fit(pruning_first):
    model = nets.compiled(scaled_apart(nets.functional(straight)), learning_rate=0.0)
    wanted = model.get_layer("a_norm").gamma.numpy()
    callbacks = [int8x.PruningCallback(), int8x.QATCallback(equalize=False)]
    order = callbacks if pruning_first else callbacks[::-1]
    model.fit(X[:16], Y[:16], epochs=1, verbose=0, callbacks=order)
    assert callbacks[0].equalized == {}
    assert np.array_equal(model.get_layer("a_norm").gamma.numpy(), wanted)


@pytest.mark.parametrize(
    "settings", [{"pattern": "2:4"}, {"pattern": "filters"}, {"block": (1, 4)}]
)
def test_pruning_chooses_among_channels_that_are_even(settings):
    """A net made uneven is pruned as the net that it was made of, to the bit."""
    plain, found = nets.functional(straight), {}
    for layer in plain.layers:
        if isinstance(layer, L.BatchNormalization):
            layer.momentum = 1.0  # its statistics stay
    for name, equalize in (("plain", True), ("even", True), ("uneven", False)):
        model = nets.compiled(keras.models.clone_model(plain), learning_rate=0.0)
        model.set_weights(plain.get_weights())
        if name != "plain":
            scaled_apart(model)
        pruning = int8x.PruningCallback(schedule="constant", equalize=equalize, **settings)
        model.fit(X[:16], Y[:16], epochs=1, verbose=0, callbacks=[pruning])
        assert (pruning.equalized != {}) == (name == "even")
        found[name] = model.predict(X_TEST, verbose=0)
    assert not np.array_equal(found["plain"], plain.predict(X_TEST, verbose=0))
    assert np.array_equal(found["even"], found["plain"])
    assert not np.array_equal(found["uneven"], found["plain"])


def test_a_loop_of_ones_own_and_wrappers_do_it_too():
    for kwargs, changed in (({}, True), ({"equalize": False}, False)):
        model = scaled_apart(nets.functional(straight))
        training = int8x.keras.qat(model, **kwargs)
        assert bool(training.handle.equalized) == changed
    wrap = int8x.keras.QATWrapper

    def wrapped(x):
        norm = L.BatchNormalization(name="norm")
        x = wrap(L.Conv2D(8, 3, use_bias=False))(x)
        return wrap(L.Dense(10))(L.GlobalAveragePooling2D()(L.ReLU()(norm(x))))

    model = nets.compiled(nets.functional(wrapped), learning_rate=0.0)
    norm = model.get_layer("norm")
    norm.gamma.assign(2.0 ** np.arange(-4, 4))
    callback = int8x.QATCallback()
    model.fit(X[:16], Y[:16], epochs=1, verbose=0, callbacks=[callback])
    assert set(callback.equalized) == {"norm"}


def gate(x):
    x = L.ReLU()(unit(x, 8, "a"))
    return end(L.Multiply()([x, L.Activation("sigmoid")(x)]))


def capped(x):
    return end(L.Activation("tanh")(unit(L.ReLU(max_value=6)(unit(x, 8, "a")), 8, "b")))


class Standardized(L.Conv2D):
    """A convolution that computes otherwise than its class."""

    def call(self, x):
        return super().call(x) * 2.0


def derived(x):
    return end(Standardized(4, 3, name="c")(L.ReLU()(unit(x, 8, "a"))))


def branched(x):
    """Its last output is the activation itself."""
    x = L.ReLU()(unit(x, 8, "a"))
    return [end(x), x]


@pytest.mark.parametrize("build", [gate, capped, derived, branched])
def test_what_is_not_homogeneous_or_is_an_output_keeps_its_scale(build):
    model = scatter(nets.functional(build))
    wanted = values(model)
    assert equalized(model) == {}
    assert all(map(np.array_equal, values(model), wanted))


class Turned(nets.Subclassed):
    """Channels and rows change places between two layers."""

    def __init__(self):
        super().__init__()
        self.second = L.Conv2D(5, 3)

    def call(self, x, training=None):
        import tensorflow as tf

        x = self.relu(self.norm(self.conv(x), training=training))  # 6 x 6 x 4
        x = self.second(tf.transpose(x[:, :4, :4], (0, 3, 1, 2)))
        return self.dense(self.flatten(x))


def test_models_of_their_own_code_compute_the_same_bits():
    for kind, changes in ((nets.Subclassed, True), (Turned, False), (nets.RawOperators, False)):
        model = kind()
        model(X_TEST)
        model.norm.gamma.assign([2.0**-6, 1, 2.0**3, 2.0**6])
        wanted = model(X_TEST).numpy()
        assert bool(equalized(model)) == changes, kind
        assert np.array_equal(model(X_TEST).numpy(), wanted)


def test_frozen_tied_and_constrained_weights_stay():
    def frozen(model):
        model.get_layer("b").trainable = False

    def constrained(model):
        model.get_layer("b").kernel.constraint = keras.constraints.MaxNorm(1e6)

    for change in (frozen, constrained):
        model = scaled_apart(nets.functional(straight))
        change(model)
        wanted = model.get_layer("b").kernel.numpy()
        assert set(equalized(model)) == {"b_norm"}
        assert np.array_equal(model.get_layer("b").kernel.numpy(), wanted)


def test_masks_and_zeros_stay():
    model = scaled_apart(nets.functional(straight))
    kernel = next(k for k in kernels_of(model) if k.layer.name == "b")
    value = kernel.value()
    value[..., ::2, :] *= np.random.default_rng(1).random(value[..., ::2, :].shape) > 0.5
    kernel.variable.assign(value)
    handle = int8x.keras.attach(model)
    mask = mask_of(kernel)
    handle.equalize()
    assert "a_norm" in handle.equalized
    assert np.array_equal(kernel.value() != 0, mask) and not mask.all()


# By what power of k an update changes when the weight is multiplied by k and gradients divided.
OPTIMIZERS = {
    "Adam": ({"epsilon": 0.0, "amsgrad": True}, 0),
    "AdamW": ({"epsilon": 0.0, "weight_decay": 0.0}, 0),
    "Nadam": ({"epsilon": 0.0}, 0),
    "Adamax": ({"epsilon": 0.0}, 0),
    "Adagrad": ({"epsilon": 0.0}, 0),
    "RMSprop": ({"epsilon": 0.0, "momentum": 0.5, "centered": True}, 0),
    "Lion": ({}, 0),
    "SGD": ({"momentum": 0.5}, -1),
    "Adadelta": ({"epsilon": 1e-30}, 1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_goes_on_with_what_it_kept_of_a_rescaled_weight(name):
    """Tolerance: float32's rounding of the weight, near 1, against an update near 1e-2."""
    options, power = OPTIMIZERS[name]
    random = np.random.default_rng(nets.SEED)
    gradients = random.normal(size=(4, 3, 5)).astype("float32")
    factor = 2.0 ** random.integers(-2, 3, 5)
    updates = []
    for k in (np.ones(5), factor):
        variable = keras.Variable(np.zeros((3, 5), "float32"))
        optimizer = getattr(keras.optimizers, name)(0.01, **options)
        for gradient in gradients[:3]:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        rescale(variable, k, optimizer)
        before = variable.numpy()
        optimizer.apply([keras.ops.convert_to_tensor(gradients[3] / k)], [variable])
        updates.append(variable.numpy() - before)
    np.testing.assert_allclose(updates[1], updates[0] * factor**power, rtol=1e-4, atol=1e-7)
    assert np.abs(updates[0]).max() > 0


def test_averages_and_gathered_gradients_go_along_and_unknown_slots_begin_anew():
    variable = keras.Variable(np.ones((3, 5), "float32"))
    ones = keras.ops.ones((3, 5))
    optimizer = keras.optimizers.Adam(0.0, use_ema=True, gradient_accumulation_steps=4)
    optimizer.apply([ones], [variable])
    rescale(variable, np.full(5, 4.0), keras.optimizers.LossScaleOptimizer(optimizer))
    assert np.array_equal(optimizer._accumulated_gradients[0].numpy(), np.full((3, 5), 0.25))
    assert np.array_equal(optimizer._model_variables_moving_average[0].numpy(), np.full((3, 5), 4))
    other = keras.optimizers.Adafactor(0.01)
    other.apply([ones], [variable])
    assert other._r[0].numpy().any()
    rescale(variable, np.full(5, 4.0), other)
    assert not other._r[0].numpy().any() and not other._c[0].numpy().any()
    other.apply([ones], [variable])
    assert np.isfinite(variable.numpy()).all()


def test_a_fit_goes_on_with_the_momenta_of_the_one_before():
    model = nets.compiled(scaled_apart(nets.functional(straight)))
    model.fit(X, Y, batch_size=16, epochs=1, verbose=0)
    optimizer, gamma = model.optimizer, model.get_layer("a_norm").gamma
    place = [v is gamma for v in model.trainable_variables].index(True)
    moments = [slots[place] for slots in (optimizer._momentums, optimizer._velocities)]
    first, second, before = (v.numpy() for v in (*moments, gamma))
    handle = int8x.keras.attach(model)
    handle.equalize()
    k = gamma.numpy() / before
    assert handle_of(model) is handle and np.any(k != 1)
    assert np.array_equal(moments[0].numpy(), first / k)
    assert np.array_equal(moments[1].numpy(), second / k**2)
