"""TransferWrapper: a backbone that says how it learns, and the callback's very file."""

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
from int8x.keras import TransferLearningCallback, TransferWrapper
from keras import layers as L

X, Y, X_TEST, _ = nets.digits(128, 48)
SETTINGS = {"unfreeze": {1: 1, 0.75: "all"}, "rates": {"base": 0.5, "head": 2.0}, "decay": 0.5}


def backbone():
    inputs = keras.Input((8, 8, 1))
    x = L.Conv2D(4, 3, name="first", use_bias=False)(inputs)
    x = L.ReLU(name="relu")(L.BatchNormalization(name="norm")(x))
    x = L.Conv2D(8, 3, activation="relu", name="second")(x)
    return keras.Model(inputs, x, name="base")


def functional(base):
    inputs = keras.Input((8, 8, 1), name="image")
    x = L.Flatten(name="flatten")(base(inputs))
    return keras.Model(inputs, L.Dense(10, name="head")(x), name="net")


def sequential(base):
    layers = [L.Flatten(name="flatten"), L.Dense(10, name="head")]
    return keras.Sequential([keras.Input((8, 8, 1), name="image"), base, *layers], name="net")


def trained(build, wrap, path):
    """The bytes of the file of a model that was transferred with QATCallback, and its history."""
    nets.seed()
    base = backbone()
    model = nets.compiled(build(TransferWrapper(base, **SETTINGS) if wrap else base))
    transfer = TransferLearningCallback() if wrap else TransferLearningCallback("base", **SETTINGS)
    callbacks = [transfer, int8x.QATCallback()]
    history = model.fit(X, Y, epochs=3, batch_size=32, verbose=0, callbacks=callbacks).history
    int8x.export(model, path)
    return path.read_bytes(), history


@pytest.mark.parametrize("build", [functional, sequential])
def test_wrapper_and_callback_train_alike_and_export_the_same_file(build, tmp_path):
    wrapped, wrapped_history = trained(build, True, tmp_path / "wrapped.tflite")
    plain, plain_history = trained(build, False, tmp_path / "plain.tflite")
    assert wrapped_history == plain_history
    assert wrapped_history["unfrozen_layers"] == [0, 1, 2]
    assert wrapped == plain


def test_without_the_callback_a_wrapped_backbone_stays_frozen():
    model = nets.compiled(functional(TransferWrapper(backbone())))
    before = [v.numpy() for v in model.get_layer("base").variables]
    model.fit(X, Y, verbose=0)
    after = [v.numpy() for v in model.get_layer("base").variables]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert {v.path.split("/")[0] for v in model.trainable_variables} == {"head"}


def test_a_wrapper_is_saved_with_what_it_says(tmp_path):
    model = nets.compiled(functional(TransferWrapper(backbone(), **SETTINGS)))
    callbacks = [TransferLearningCallback()]
    model.fit(X, Y, epochs=2, batch_size=32, verbose=0, callbacks=callbacks)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    wrapper = loaded.get_layer("base")
    assert isinstance(wrapper, TransferWrapper)
    assert wrapper.settings == model.get_layer("base").settings
    assert np.array_equal(model.predict(X_TEST, verbose=0), loaded.predict(X_TEST, verbose=0))
    history = loaded.fit(X, Y, epochs=4, batch_size=32, verbose=0, callbacks=callbacks).history
    assert history["unfrozen_layers"] == [0, 1, 1, 2]


def test_several_wrappers_in_one_model_each_keep_their_own_word():
    inputs = keras.Input((8, 8, 1))
    first = TransferWrapper(backbone(), unfreeze={0: 1}, name="left")
    second = TransferWrapper(backbone(), unfreeze={1: "all"}, name="right")
    x = L.Flatten()(L.Add()([first(inputs), second(inputs)]))
    model = nets.compiled(keras.Model(inputs, L.Dense(10)(x)))
    callbacks = [TransferLearningCallback()]
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=callbacks).history
    assert history["unfrozen_layers"] == [1, 3]


def test_a_single_layer_can_be_a_backbone():
    layer = L.Dense(6, name="features")
    layer.build((None, 64))
    model = nets.compiled(
        keras.Sequential([keras.Input((64,)), TransferWrapper(layer, {1: "all"}), L.Dense(10)])
    )
    flat = X.reshape(len(X), -1)
    history = model.fit(
        flat, Y, epochs=2, verbose=0, callbacks=[TransferLearningCallback()]
    ).history
    assert history["unfrozen_layers"] == [0, 1]


def test_bad_wrappers_are_refused():
    with pytest.raises(
        ValueError, match="TransferWrapper: a built Keras layer was wanted, got 'x'"
    ):
        TransferWrapper("x")
    with pytest.raises(ValueError, match="a built Keras layer was wanted"):
        TransferWrapper(L.Dense(2))
    with pytest.raises(ValueError, match="rates: a factor of at least 0 was wanted, got -1"):
        TransferWrapper(backbone(), rates=-1)
    with pytest.raises(ValueError, match="unfreeze: no layer of the backbone fits 'none'"):
        TransferWrapper(backbone(), unfreeze={0: "none"})
    model = nets.compiled(functional(TransferWrapper(backbone())))
    with pytest.raises(ValueError, match="TransferWrapper: 'base' has such a wrapper already"):
        TransferWrapper(model.get_layer("base"))
    with pytest.raises(ValueError, match="base say how they learn"):
        model.fit(X, Y, verbose=0, callbacks=[TransferLearningCallback(rates=0.5)])
