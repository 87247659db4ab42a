"""QATWrapper and PruningWrapper: models built by layer train, are saved and exported as those that
the callbacks are given.
"""

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
from int8x.keras import PruningCallback, PruningWrapper, QATCallback, QATWrapper
from int8x.keras.handle import attach, handle_of
from keras import layers as L

X, Y, X_TEST, _ = nets.digits(64, 48)


def plain(layer, **_):
    return layer


def quantized(layer, **settings):
    return QATWrapper(layer, **settings)


def build(style, wrap):
    """A residual net, or a chain, whose layers with weights go through `wrap`."""
    keras.utils.clear_session()
    nets.seed()
    if style == "sequential":
        chain = [wrap(L.Conv2D(8, 3, activation="relu")), L.MaxPooling2D(), L.Flatten()]
        return keras.Sequential([keras.Input((8, 8, 1)), *chain, wrap(L.Dense(10))])

    def net(x):
        x = skip = L.ReLU()(L.BatchNormalization()(wrap(L.Conv2D(8, 3, padding="same"))(x)))
        x = wrap(L.DepthwiseConv2D(3, padding="same"))(x)
        x = wrap(L.Conv2D(8, 1))(L.ReLU()(L.BatchNormalization()(x)))
        x = L.GlobalAveragePooling2D()(L.ReLU()(L.Add()([skip, x])))
        return wrap(L.Dense(10))(x)

    return nets.functional(net)


def fit(model, *callbacks, epochs=2, eagerly=True):
    nets.compiled(model, run_eagerly=eagerly)
    keras.utils.set_random_seed(nets.SEED)
    model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0, callbacks=callbacks)
    return model


def exported(model, path):
    int8x.export(model, path)
    return path.read_bytes()


@pytest.mark.parametrize("style", ["sequential", "functional"])
@pytest.mark.parametrize("settings", [{}, {"weight_bits": 4, "ranges": "lsq"}], ids=["", "w4 lsq"])
def test_a_file_of_wrapped_layers_equals_the_callbacks(style, settings, tmp_path):
    eagerly = style != "sequential" or bool(settings)
    one = fit(build(style, plain), QATCallback(**settings), eagerly=eagerly)
    two = build(style, lambda layer: QATWrapper(layer, **settings))
    fit(two, QATCallback(), eagerly=eagerly)
    data = exported(one, tmp_path / "callback.tflite")
    assert exported(two, tmp_path / "wrappers.tflite") == data
    assert np.array_equal(one.predict(X_TEST, verbose=0), two.predict(X_TEST, verbose=0))


def test_a_pruned_and_quantized_file_of_wrapped_layers_equals_the_callbacks(tmp_path):
    def wrap(layer):
        if isinstance(layer, L.DepthwiseConv2D) or layer.name == "conv2d":
            return QATWrapper(layer)
        return QATWrapper(PruningWrapper(layer, sparsity=0.75, block=(1, 4)))

    pruning = PruningCallback(sparsity=0.75, block=(1, 4), exclude=("conv2d",))
    one = fit(build("functional", plain), pruning, QATCallback())
    wrapped = PruningCallback()
    two = fit(build("functional", wrap), wrapped, QATCallback())
    data = exported(one, tmp_path / "callback.tflite")
    assert exported(two, tmp_path / "wrappers.tflite") == data
    assert [row.zeros for row in wrapped.report.layers] == [
        row.zeros for row in pruning.report.layers
    ]
    assert sum(row.zeros for row in wrapped.report.layers) == 0.75 * (8 * 8 + 8 * 10)


def test_wrappers_are_saved_and_ranges_come_back(tmp_path):
    net = build("functional", lambda x: QATWrapper(x, weight_bits=4))
    model = fit(net, QATCallback(), epochs=1)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in model.layers]
    attach(again)
    again.load_weights(tmp_path / "model.keras")
    assert handle_of(again).settings == handle_of(model).settings
    assert np.array_equal(again.predict(X_TEST, verbose=0), model.predict(X_TEST, verbose=0))
    data = exported(model, tmp_path / "one.tflite")
    assert exported(again, tmp_path / "two.tflite") == data


def test_a_configuration_gives_the_wrapper_back():
    wrapper = QATWrapper(PruningWrapper(L.Dense(16, name="d"), 0.5, block=(1, 16)), weight_bits=4)
    again = keras.layers.deserialize(keras.layers.serialize(wrapper))
    assert again.get_config() == wrapper.get_config()
    assert again.settings == wrapper.settings
    assert again.layer.units == wrapper.layer.units and again.layer.sparsity == 0.5
    assert again.inner.name == "d" and again.inner.units == 16


def test_layers_that_are_not_wrapped_stay_float_and_bits_are_each_layers_own(tmp_path):
    def wrap(layer):
        if layer.name == "dense":
            return layer
        return QATWrapper(layer, weight_bits=8 if layer.name == "conv2d" else 4)

    model = fit(build("functional", wrap), QATCallback(), epochs=1)
    recipe = {"name": "int8", "compute": "int8", "allow_float": True}
    graph = int8x.export(model, tmp_path / "model.tflite", recipe=recipe)
    kinds = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    weighted = [op for op in graph.main.operators if op.kind in kinds]
    assert [op.inputs[1].dtype for op in weighted] == ["INT8", "INT4", "INT4", "FLOAT32"]


def test_each_layer_is_pruned_as_its_wrapper_says():
    def wrap(layer):
        if layer.name == "conv2d_1":
            return PruningWrapper(layer, sparsity=0.25)
        return PruningWrapper(layer, pattern="2:4") if layer.name == "dense" else layer

    pruning = PruningCallback()
    model = fit(build("functional", wrap), pruning)
    kernels = {layer.name: layer for layer in model._flatten_layers()}
    pointwise, dense = (kernels[name].kernel.numpy() for name in ("conv2d_1", "dense"))
    assert (pointwise == 0).mean() == 0.25
    assert ((dense.T.reshape(10, 2, 4) != 0).sum(-1) == 2).all()
    assert {row.layer: row.note for row in pruning.report.layers} == {
        "conv2d": "not wrapped",
        "conv2d_1": "single weights",
        "dense": "2:4",
    }


class Wrapped(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = QATWrapper(L.Conv2D(4, 3)), L.BatchNormalization()
        self.flatten, self.dense = L.Flatten(), QATWrapper(L.Dense(10))

    def call(self, x, training=None):
        return self.dense(self.flatten(self.norm(self.conv(x), training=training)))


def test_wrappers_of_a_subclassed_model_train(tmp_path):
    model = fit(Wrapped(), QATCallback(), eagerly=False)
    graph = int8x.export(model, tmp_path / "model.tflite")
    assert {t.dtype for op in graph.main.operators for t in op.outputs} == {"INT8"}


def test_a_fit_without_the_callback_is_told():
    model = build("sequential", lambda layer: QATWrapper(PruningWrapper(layer)))
    with pytest.warns(UserWarning) as caught:
        fit(model, epochs=1)
    told = [str(warning.message) for warning in caught]
    assert any("QATWrapper 'qat_pruning_dense': int8x.QATCallback was wanted" in t for t in told)
    assert any("PruningWrapper 'pruning_dense': int8x.PruningCallback was" in t for t in told)


@pytest.mark.parametrize(
    "make, told",
    [
        (lambda: QATWrapper(L.LSTM(4, name="l")), "int8 form was wanted, got LSTM 'l'"),
        (lambda: QATWrapper(build("sequential", plain)), "got the model 'sequential'"),
        (lambda: QATWrapper("dense"), "QATWrapper: a Keras layer was wanted, got 'dense'"),
        (lambda: QATWrapper(QATWrapper(L.Dense(1, name="d"))), "'d' has such a wrapper already"),
        (lambda: QATWrapper(L.Dense(1, name="d"), weight_bits=3), "QATWrapper 'd': weight_bits"),
        (lambda: PruningWrapper(L.DepthwiseConv2D(3)), "not depthwise, or SeparableConv was"),
        (lambda: PruningWrapper(L.ReLU(name="r")), "got ReLU 'r'"),
        (lambda: PruningWrapper(L.Dense(1), pattern="filters"), "go through many layers"),
        (lambda: PruningWrapper(L.Dense(1, name="d"), 1.5), "PruningWrapper 'd': sparsity must be"),
    ],
)
def test_what_cannot_be_wrapped_is_named(make, told):
    with pytest.raises(ValueError, match=told):
        make()


def test_wrappers_and_callbacks_that_disagree_are_refused():
    model = build("sequential", quantized)
    with pytest.raises(ValueError, match=r"its QATWrappers say how.*QATCallback\(\) was wanted"):
        fit(model, QATCallback(weight_bits=4))
    model = build("sequential", lambda x: PruningWrapper(x, block=(1, 4)))
    with pytest.raises(ValueError, match="its PruningWrappers say what is pruned"):
        fit(model, PruningCallback(sparsity=0.3))
    with pytest.raises(ValueError, match="'conv2d': 1x4 cannot be pruned: 1 input channels do not"):
        fit(model, PruningCallback())
    ranges = iter(["lsq", "average"])
    model = build("sequential", lambda x: QATWrapper(x, ranges=next(ranges)))
    with pytest.raises(ValueError, match="one ranges for all QATWrappers was wanted, got 'lsq' of"):
        fit(model, QATCallback())
