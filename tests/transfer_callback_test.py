"""TransferLearningCallback: what learns when, how fast, and that nothing else is disturbed."""

import itertools

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
from int8x.keras import TransferLearningCallback
from keras import layers as L

X, Y, X_TEST, _ = nets.digits(128, 48)
FEW = 1e-5  # relative: float32 sums, perhaps in another order
# A step is the difference of weights of size 1 (2^-24 each); Adam's epsilon is 1e-7 of gradients.
STEP = {"rtol": 2e-3, "atol": 3e-7}


@pytest.fixture(autouse=True)
def _seeded():
    nets.seed()


def backbone(name="base"):
    """Two convolutions with BatchNormalization and a third without: three counted layers."""
    inputs = keras.Input((8, 8, 1))
    x = L.Conv2D(4, 3, name="first", use_bias=False)(inputs)
    x = L.ReLU()(L.BatchNormalization(name="first_norm")(x))
    x = L.DepthwiseConv2D(3, name="second", use_bias=False)(x)
    x = L.ReLU()(L.BatchNormalization(name="second_norm")(x))
    return keras.Model(inputs, L.Conv2D(8, 1, activation="relu", name="third")(x), name=name)


def head(x):
    return L.Dense(10, name="head")(L.Flatten()(x))


def functional():
    return nets.functional(lambda x: head(backbone()(x)))


def sequential():
    layers = [L.Flatten(), L.Dense(10, name="head")]
    return keras.Sequential([keras.Input((8, 8, 1)), backbone(), *layers])


def flat():
    base = backbone()
    return keras.Model(base.input, head(base.output))


def deep():
    """A backbone in a model in the model."""
    inner = backbone()
    middle = nets.functional(lambda x: L.ReLU()(inner(x)))
    return nets.functional(lambda x: head(middle(x)))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.base, self.flatten, self.head = backbone(), L.Flatten(), L.Dense(10, name="head")

    def call(self, x, training=None):
        return self.head(self.flatten(self.base(x, training=training)))


def subclassed():
    model = Subclassed()
    model(X[:1])
    return model


KINDS = {"functional": functional, "sequential": sequential, "deep": deep, "subclassed": subclassed}


def compiled(model, optimizer=None, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.Adam(2e-3), loss, **options)
    return model


def layers_of(model):
    from int8x.keras import private

    return {layer.name: layer for layer in private.all_layers(model)}


def values(model):
    return {
        name: [v.numpy() for v in layer.variables]
        for name, layer in layers_of(model).items()
        if not isinstance(layer, (keras.Model, keras.layers.Wrapper)) and layer.variables
    }


def moved(before, after):
    """The names of the layers whose variables differ."""
    return {
        name
        for name in before
        if any(not np.array_equal(a, b) for a, b in zip(before[name], after[name], strict=True))
    }


class EachEpoch(keras.callbacks.Callback):
    """Which layers each epoch moved."""

    def on_epoch_begin(self, epoch, logs=None):
        self.moved = [] if epoch == 0 else self.moved
        self.before = values(self.model)

    def on_epoch_end(self, epoch, logs=None):
        self.moved.append(moved(self.before, values(self.model)))


def fit(model, *callbacks, epochs=3, **options):
    options = {"batch_size": 32, "shuffle": False, "verbose": 0, **options}
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **options).history


@pytest.mark.parametrize("kind", KINDS)
def test_layers_learn_from_their_epoch_on_and_batchnorm_never(kind):
    model, seen = compiled(KINDS[kind]()), EachEpoch()
    transfer = TransferLearningCallback("base", unfreeze={1: 2, 2: "all"})
    history = fit(model, transfer, seen)
    second = {"head", "third", "second"}
    assert seen.moved == [{"head"}, second, {*second, "first"}]
    assert history["unfrozen_layers"] == [0, 2, 3]


@pytest.mark.parametrize("named", ["model", "layers", "patterns"])
def test_a_backbone_whose_layers_are_the_models_own_is_found(named):
    base = backbone()
    model, seen = compiled(keras.Model(base.input, head(base.output))), EachEpoch()
    given = {
        "model": base,
        "layers": [layer for layer in base.layers if layer.weights],
        "patterns": ("first*", "second*", "third"),
    }[named]
    fit(model, TransferLearningCallback(given, unfreeze={1: ["fir*"]}), seen, epochs=2)
    assert seen.moved == [{"head"}, {"head", "first"}]


def test_the_one_nested_model_is_the_backbone_when_none_is_named():
    model, seen = compiled(deep()), EachEpoch()
    fit(model, TransferLearningCallback(unfreeze={}), seen, epochs=1)
    assert seen.moved == [{"head"}]


def test_batchnorm_moves_when_it_is_not_frozen():
    model, seen = compiled(functional()), EachEpoch()
    fit(model, TransferLearningCallback(unfreeze={1: "all"}, freeze_bn=False), seen, epochs=2)
    every = {"head", "first", "first_norm", "second", "second_norm", "third"}
    assert seen.moved == [{"head"}, every]


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_shares_fit_any_length_and_turn_within_an_epoch(epochs):
    model, learning = compiled(functional()), []
    base = layers_of(model)
    count = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: learning.append(
            sum(base[name].trainable for name in ("first", "second", "third"))
        )
    )
    fit(model, TransferLearningCallback(), count, epochs=epochs)
    assert learning == [0] * epochs + [2] * epochs + [3] * 2 * epochs


def test_without_a_known_number_of_steps_shares_count_epochs():
    def batches():
        for start in range(0, 96, 32):
            yield X[start : start + 32], Y[start : start + 32]

    import tensorflow as tf

    signature = (tf.TensorSpec((None, 8, 8, 1)), tf.TensorSpec((None,), tf.int64))
    data = tf.data.Dataset.from_generator(batches, output_signature=signature)
    model = compiled(functional())
    history = model.fit(data, epochs=4, verbose=0, callbacks=[TransferLearningCallback()]).history
    assert history["unfrozen_layers"] == [0, 2, 3, 3]


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.02),
    "momentum": lambda: keras.optimizers.SGD(0.02, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)),
}


def first_steps(optimizer, rates, decay=1.0):
    nets.seed()
    model = compiled(functional(), OPTIMIZERS[optimizer]())
    before = values(model)
    fit(
        model,
        TransferLearningCallback("base", {0: "all"}, rates, decay),
        steps_per_epoch=1,
        epochs=1,
    )
    return {
        k: np.concatenate([(b - a).ravel() for a, b in zip(before[k], v, strict=True)])
        for k, v in values(model).items()
    }


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_first_step_of_a_layer_with_factor_f_is_f_times_as_long(optimizer):
    one = first_steps(optimizer, 1.0)
    some = first_steps(optimizer, {"first": 0.25, "*": 1.0, "third": 0.5, "first*": 0.25})
    for name, factor in {"first": 0.25, "second": 1.0, "third": 0.5, "head": 1.0}.items():
        assert np.abs(one[name]).max() > 0
        assert np.allclose(some[name], factor * one[name], **STEP), name


def test_decay_makes_each_layer_slower_than_the_next():
    one, some = first_steps("adam", 1.0), first_steps("adam", 0.5, decay=0.25)
    for name, factor in {"first": 1 / 32, "second": 1 / 8, "third": 0.5, "head": 1.0}.items():
        assert np.allclose(some[name], factor * one[name], **STEP), name


def test_unfreezing_keeps_the_optimizers_state_of_the_other_variables():
    model, states = compiled(functional()), []

    def state(*_):
        states.append({v.path: v.numpy() for v in model.optimizer.variables})

    transfer = TransferLearningCallback("base", {1: "all"})

    class Before(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            state()

        def on_train_batch_begin(self, batch, logs=None):
            if self.model.optimizer.built:
                state()

    fit(model, transfer, Before(), epochs=2, steps_per_epoch=2)
    before, after = states[1], states[2]  # of the first epoch's end, of the second's begin
    assert set(before) < set(after)
    assert any("head" in path and np.any(before[path]) for path in before)
    assert all(np.array_equal(before[path], after[path]) for path in before)


@pytest.mark.parametrize("built", [False, True])
def test_adam_takes_no_long_steps_in_layers_that_are_unfrozen_late(built):
    """At the optimizer's own count the first step would be sqrt(10) times too long; also where it
    knew the layers from the beginning, as under a MirroredStrategy.
    """
    rate = 1e-3
    model = compiled(functional(), keras.optimizers.Adam(rate), run_eagerly=True)
    if built:
        model.optimizer.build(model.trainable_variables)
    steps = []

    class Longest(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.before = layers_of(self.model)["third"].bias.numpy()

        def on_train_batch_end(self, batch, logs=None):
            after = layers_of(self.model)["third"].bias.numpy()
            steps.append(np.abs(after - self.before).max())

    fit(model, TransferLearningCallback("base", {10: "all"}, 1.0), Longest(), epochs=11)
    assert steps[:40] == [0] * 40
    assert steps[40] == pytest.approx(rate, rel=1e-3)


def three_in_one_fit(order):
    """A model, its history and its variables, of a fit whose backbone was frozen before."""
    nets.seed()
    model = compiled(functional(), run_eagerly=True)
    model.fit(X[:1], Y[:1], verbose=0, callbacks=[TransferLearningCallback("base", unfreeze={})])
    callbacks = {
        "transfer": TransferLearningCallback("base", unfreeze={1: "all"}),
        "prune": int8x.PruningCallback(sparsity=0.5, exclude=("head",)),
        "qat": int8x.QATCallback(),
    }
    history = fit(model, *(callbacks[name] for name in order), epochs=3, batch_size=64)
    return model, history, [v.numpy() for v in model.variables]


def test_qat_pruning_and_transfer_go_together_in_one_fit_in_any_order(tmp_path):
    orders = itertools.permutations(("transfer", "prune", "qat"))
    (model, history, variables), *others = map(three_in_one_fit, orders)
    assert history["unfrozen_layers"] == [0, 3, 3]
    assert history["sparsity"][-1] == pytest.approx(0.5, abs=0.02)
    for _, its_history, its_variables in others:
        assert its_history == history
        for mine, its in zip(variables, its_variables, strict=True):
            np.testing.assert_array_equal(its, mine)
    graph = int8x.export(model, tmp_path / "model.tflite")
    assert not [
        op for op in graph.main.operators if any(t is not None and t.is_float for t in op.inputs)
    ]


@pytest.mark.parametrize("kind", ["transfer", "prune", "qat"])
def test_a_callback_that_stands_twice_in_a_list_is_refused_and_serves_again(kind):
    model = compiled(functional(), run_eagerly=True)
    make = {
        "transfer": lambda: TransferLearningCallback("base"),
        "prune": lambda: int8x.PruningCallback(exclude=("head",)),
        "qat": int8x.QATCallback,
    }[kind]
    callback = make()
    before = values(model)["head"]
    with pytest.raises(ValueError, match="once in a fit was wanted, got it twice"):
        fit(model, callback, callback, epochs=1)
    with pytest.raises(ValueError, match=r"one in a fit.* was wanted, got a second one"):
        fit(model, make(), make(), epochs=1)
    np.testing.assert_array_equal(values(model)["head"][0], before[0])  # before the first step
    fit(model, callback, epochs=2)
    fit(model, callback, epochs=2)


def test_learned_scales_go_on_learning_and_frozen_weights_do_not(tmp_path):
    model, kernels, scales = compiled(functional()), [], []
    first = layers_of(model)["first"]

    class Note(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kernels.append(first.kernel.numpy())
            scales.append([v.numpy() for v in first.variables if v.path.endswith("_log")])

    transfer = TransferLearningCallback("base", {1: "all"})
    qat = int8x.QATCallback(ranges="lsq", freeze_batchnorm=1.0, freeze_ranges=1.0)
    fit(model, transfer, qat, Note(), epochs=2)
    assert np.array_equal(kernels[0], kernels[3])  # the first of two epochs of four steps
    assert not np.array_equal(kernels[3], kernels[4])
    moved_by = [np.abs(a - b).max() for a, b in zip(scales[1], scales[3], strict=True)]
    assert moved_by and max(moved_by) > 0
    int8x.export(model, tmp_path / "model.tflite")


def test_a_layer_whose_rate_is_0_keeps_its_weights_under_jit_too():
    model, seen = compiled(functional(), jit_compile=True), EachEpoch()
    rates = {"base": 0.5, "first": 0}
    fit(model, TransferLearningCallback("base", {0: "all"}, rates), seen, epochs=1)
    assert seen.moved == [{"head", "third", "second"}]


def test_a_second_fit_begins_anew_and_a_fit_without_it_trains_at_full_rate():
    model, seen = compiled(functional(), run_eagerly=True), EachEpoch()
    transfer = TransferLearningCallback("base", {1: "all"}, rates=0.0)
    for _ in range(2):
        history = fit(model, transfer, seen, epochs=2)
        assert history["unfrozen_layers"] == [0, 3]
        assert seen.moved == [{"head"}, {"head"}]
    fit(model, seen, epochs=1)
    assert seen.moved == [{"head", "first", "second", "third"}]


def test_a_saved_model_goes_on_where_it_stood(tmp_path):
    def more(model):
        transfer = TransferLearningCallback("base", {1: "all"}, rates=0.5)
        return fit(model, transfer, epochs=3, initial_epoch=2)

    model = compiled(functional(), OPTIMIZERS["momentum"](), run_eagerly=True)
    fit(model, TransferLearningCallback("base", {1: "all"}, rates=0.5), epochs=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    came, wanted = more(loaded), more(model)
    assert came["unfrozen_layers"] == wanted["unfrozen_layers"] == [3]
    assert came["loss"] == pytest.approx(wanted["loss"], rel=FEW)


def test_an_interrupted_fit_leaves_a_usable_model():
    model = compiled(functional(), run_eagerly=True)

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, TransferLearningCallback("base"), Stop())
    assert np.isfinite(model.predict(X_TEST, verbose=0)).all()
    assert fit(model, TransferLearningCallback("base"), epochs=4)["unfrozen_layers"] == [0, 2, 3, 3]


BAD = {
    "no such backbone": (("bone",), {}, "backbone: no layer of .* is 'bone'; it has .*first"),
    "a foreign layer": ((L.Dense(1, name="strange"),), {}, "no layer of .* is strange"),
    "no weights": (("re_lu*",), {}, "layers with weights were wanted"),
    "no such layers": (("base", {0: "x*"}), {}, "unfreeze: no layer of the backbone fits 'x"),
    "too many": (("base", {0: 9}), {}, "at most the backbone's 3 layers with weights .* got 9"),
    "too late": (("base", {3: "all"}), {}, "from epoch 3 on was wanted, .* ends before epoch 3"),
    "no such rate": (("base",), {"rates": {"nose": 1.0}}, "rates: no layer of .* fits 'nose'"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_the_model_or_the_fit_does_not_have_is_refused(case):
    arguments, options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        fit(compiled(functional()), TransferLearningCallback(*arguments, **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rates": -0.1}, "rates: a factor of at least 0 was wanted, got -0.1"),
        ({"rates": {"first": "fast"}}, "'first': a factor of at least 0 was wanted, got 'fast'"),
        ({"decay": float("nan")}, "decay: a factor of at least 0"),
        ({"unfreeze": 3}, "unfreeze must be a dict from epoch or share"),
        ({"unfreeze": {-1: "all"}}, "an epoch from 0 or a share .* got -1"),
        ({"unfreeze": {1.0: "all"}}, r"a share of the fit in \[0.0, 1.0\) was wanted, got 1.0"),
        ({"unfreeze": {0: 0}}, "names and patterns were wanted, got 0"),
        ({"freeze_bn": 1}, "freeze_bn must be True or False, got 1"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TransferLearningCallback("base", **options)


def test_a_model_without_one_nested_model_must_be_told_its_backbone():
    with pytest.raises(ValueError, match=r"has not one nested model \(none\): name the backbone"):
        fit(compiled(flat()), TransferLearningCallback())


def test_an_unbuilt_model_and_a_second_callback_are_refused():
    with pytest.raises(ValueError, match="a built model was wanted"):
        fit(compiled(Subclassed()), TransferLearningCallback("base"))
    with pytest.raises(ValueError, match="one in a fit was wanted, got a second one"):
        fit(compiled(functional()), TransferLearningCallback(), TransferLearningCallback())
