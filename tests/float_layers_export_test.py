"""Layers that stay float, weights that stay int8, files that come from saved or pruned models."""

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
from int8x.errors import ModelError, QuantizeError
from int8x.keras.handle import attach, handle_of
from int8x.keras.handover import TrainedKernel, _give_weights
from int8x.tflite.quant_params import QuantParams
from keras import layers as L
from trained_nets import KINDS, X_TEST, X, Y, off, run, trained


@pytest.mark.parametrize(
    ("exclude", "floats"),
    [
        (("a",), ["CONV_2D"]),
        (("c", "end"), ["CONV_2D", "FULLY_CONNECTED"]),
        ((L.Add,), ["ADD"]),
        (("depthwise*",), ["DEPTHWISE_CONV_2D"]),
    ],
)
def test_excluded_layers_stay_float_in_the_file_with_what_fuses_into_them(
    exclude, floats, tmp_path
):
    model = trained(exclude=exclude)
    graph = int8x.export(model, tmp_path / "model.tflite")
    operators = graph.main.operators
    left = [op.kind for op in operators if op.outputs[0].is_float and op.kind != "DEQUANTIZE"]
    assert left == floats
    assert off(model, tmp_path / "model.tflite").max() <= 2


def test_a_float_layers_weights_are_not_rounded():
    model = trained(epochs=1, exclude=("a",))
    calls = handle_of(model).plan.calls
    kinds = {call.operation.name: call.kind for call in calls}
    assert kinds["a"] == "float" and kinds["c"] == "weights"
    assert [call.kind for call in calls[:3]] == ["float"] * 3


def test_a_recurrent_layer_trains_and_exports_when_it_is_excluded(tmp_path):
    def build():
        def body(x):
            x = L.LSTM(4, name="memory", unroll=True)(L.Reshape((8, 8))(x))
            return L.Dense(10)(x)

        return nets.functional(body)

    model = trained(build, epochs=1, exclude=("memory",))
    graph = int8x.export(model, tmp_path / "model.tflite")
    assert graph.main.operators[-1].kind == "FULLY_CONNECTED"
    assert graph.main.outputs[0].dtype == "INT8"
    assert off(model, tmp_path / "model.tflite").max() <= 2


@pytest.mark.parametrize("wrap", [lambda layer: layer, L.Bidirectional])
def test_a_recurrent_layer_stays_in_float_where_the_recipe_allows_it(wrap, tmp_path):
    layer = wrap(L.LSTM(4))

    def build():
        return nets.functional(lambda x: L.Dense(10)(layer(L.Dense(6)(L.Reshape((8, 8))(x)))))

    with pytest.warns(UserWarning, match=f"float.*allow_float.*{layer.name!r}"):
        model = trained(build, epochs=1)
    path = tmp_path / "model.tflite"
    with pytest.raises(int8x.QuantizeError, match=rf"allow_float.*exclude=\('{layer.name}',\)"):
        int8x.export(model, path)
    assert not path.exists()
    graph = int8x.export(model, path, recipe=int8x.Recipe("int8", allow_float=True))
    kinds = [op.kind for op in graph.main.operators]
    assert "WHILE" in kinds and kinds.count("FULLY_CONNECTED") == 2
    weights = [op.inputs[1].dtype for op in graph.main.operators if op.kind == "FULLY_CONNECTED"]
    assert weights == ["INT8", "INT8"]
    assert off(model, path).max() <= 2


EXCLUDED = {
    "a layer": (lambda: L.LSTM(4, name="memory"), "memory"),
    "a wrapped one": (lambda: L.Bidirectional(L.LSTM(4, name="memory")), "*memory"),
    "its cell": (lambda: L.RNN(L.GRUCell(4, name="memory")), "memory"),
}


@pytest.mark.parametrize("name", EXCLUDED)
def test_an_excluded_recurrent_layer_needs_no_other_leave(name, tmp_path):
    make, pattern = EXCLUDED[name]
    model = trained(
        lambda: nets.functional(lambda x: L.Dense(10)(make()(L.Reshape((8, 8))(x)))),
        epochs=1,
        exclude=(pattern,),
    )
    graph = int8x.export(model, tmp_path / "model.tflite")
    assert "WHILE" in {op.kind for op in graph.main.operators}
    assert off(model, tmp_path / "model.tflite").max() <= 2


class Teacher(keras.Model):
    """Has a recurrent layer that it calls in training alone."""

    def __init__(self):
        super().__init__()
        self.flat, self.end, self.memory = L.Flatten(), L.Dense(10), L.LSTM(10)

    def call(self, x, training=False):
        y = self.end(self.flat(x))
        return y + self.memory(keras.ops.reshape(x, (-1, 8, 8))) * 0.0 if training else y


def test_a_recurrent_layer_that_is_not_in_the_file_needs_no_leave(tmp_path):
    model = Teacher()
    model(X_TEST[:1], training=True)
    nets.compiled(model).fit(X, Y, verbose=0, callbacks=[int8x.QATCallback()])
    graph = int8x.export(model, tmp_path / "model.tflite")
    assert "WHILE" not in {op.kind for op in graph.main.operators}


CHAINS = ["LayerNormalization", "MultiHeadAttention"]


def with_chain(kind):
    def body(x):
        x = L.Dense(8)(L.Reshape((8, 8))(x))
        if kind == "LayerNormalization":
            x = L.LayerNormalization()(x)
        else:
            x = L.MultiHeadAttention(2, 4)(x, x)
        return L.Dense(10)(L.GlobalAveragePooling1D()(x))

    return nets.functional(body)


@pytest.mark.parametrize("kind", CHAINS)
def test_layers_that_are_chains_stay_float_when_excluded_by_type(kind, tmp_path):
    model = trained(lambda: with_chain(kind), epochs=1, exclude=(getattr(L, kind),))
    assert handle_of(model).plan.unranged == []
    graph = int8x.export(model, tmp_path / "model.tflite")
    assert graph.main.operators[0].outputs[0].dtype == "INT8"
    assert graph.main.operators[-1].kind == "FULLY_CONNECTED"
    assert graph.main.outputs[0].dtype == "INT8"
    assert off(model, tmp_path / "model.tflite").max() <= 2


@pytest.mark.parametrize("layer", [L.Attention, L.UnitNormalization])
def test_the_inside_of_other_layers_is_named_and_int8_when_there_is_data(layer, tmp_path):
    def body(x):
        x = L.Dense(8)(L.Reshape((8, 8))(x))
        x = layer()([x, x]) if layer is L.Attention else layer(axis=1)(x)
        return L.Dense(10)(L.GlobalAveragePooling1D()(x))

    path = tmp_path / "model.tflite"
    with pytest.warns(UserWarning, match="no range is learned for .*export will need data"):
        model = trained(lambda: nets.functional(body), epochs=1)
    with pytest.raises(QuantizeError, match=r"no range is known for .*: give data"):
        int8x.export(model, path)
    graph = int8x.export(model, path, data=X)
    assert {t.dtype for op in graph.main.operators for t in op.outputs} == {"INT8"}
    assert off(model, path).mean() <= 1.5  # training did not round inside


def test_layers_whose_operator_takes_no_int4_keep_int8_weights(tmp_path):
    def build():
        def body(x):
            x = L.Conv2DTranspose(4, 3, 2, name="up")(L.Conv2D(4, 3)(x))
            return nets.head(L.ReLU()(L.BatchNormalization()(L.MaxPooling2D(2)(x))))

        return nets.functional(body)

    model = trained(build, weight_bits=4)
    graph = int8x.export(model, tmp_path / "model.tflite")
    types = [op.inputs[1].dtype for op in graph.main.operators if op.kind in KINDS]
    assert types == ["INT4", "INT8", "INT8", "INT4"]  # the third: BatchNormalization alone
    # Its factors are rounded to int8 in the file alone: a step or two at 256 inputs of the end.
    assert off(model, tmp_path / "model.tflite").mean() <= 1


def test_another_recipe_than_trained_for_is_taken_when_given(tmp_path):
    model = trained(epochs=1)
    graph = int8x.export(model, tmp_path / "model.tflite", recipe="int16x8")
    assert graph.main.outputs[0].dtype == "INT16"


@pytest.mark.parametrize(
    "settings", [{"weight_bits": 4, "ranges": "lsq"}, {"weights": "per_tensor"}]
)
def test_a_pruned_model_keeps_its_zeros_on_every_grid(settings, tmp_path):
    nets.seed()
    model = nets.compiled(nets.functional(lambda x: nets.head(L.Conv2D(8, 3)(L.Conv2D(4, 3)(x)))))
    pruning = int8x.PruningCallback(0.75, block=(1, 4), exclude=(L.Conv2D,))
    callbacks = [pruning, int8x.QATCallback(**settings)]
    model.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=callbacks)
    graph = int8x.export(model, tmp_path / "model.tflite")
    weights = graph.main.operators[-1].inputs[1].data
    assert (weights.reshape(-1, 4) == 0).all(1).mean() >= 0.75


def test_a_saved_model_exports_the_same_file_after_attach_with_its_settings(tmp_path):
    model = trained(weight_bits=4, ranges="lsq")
    int8x.export(model, tmp_path / "a.tflite")
    model.save(tmp_path / "model.keras")
    twin = keras.saving.load_model(tmp_path / "model.keras")
    attach(twin, weight_bits=4, ranges="lsq")
    twin.load_weights(tmp_path / "model.keras")
    int8x.export(twin, tmp_path / "b.tflite")
    first, second = (run(tmp_path / f"{name}.tflite", X_TEST[:16])[0] for name in "ab")
    assert np.array_equal(first, second)


def test_a_kernel_that_the_converter_changed_is_named():
    graph = int8x.keras.convert(nets.small())
    strange = TrainedKernel("lost", np.ones((4, 9), np.float32), np.ones(4, np.float32), 4)
    with pytest.raises(ModelError, match="changed the kernels of lost"):
        _give_weights(graph, [strange])
    assert all(not isinstance(t.range, QuantParams) for t in graph.main.tensors)
