"""Models and layers of one's own, which compute with TensorFlow's operators between their layers:
trained as their files round, operator by operator.
"""

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
import tensorflow as tf
from int8x.keras.handle import attach, handle_of, strip
from keras import layers as L
from trained_nets import X_TEST, X, Y, off, steps_of_operators

EQUAL = 0.99  # of an operator's results, at least


@keras.saving.register_keras_serializable("tests")
class Residual(L.Layer):
    """A block as ResNets are written: its sums, factors and ReLUs are raw operators."""

    def __init__(self, relu="tf", factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.relu, self.factor = relu, factor
        self.first = L.Conv2D(6, 3, padding="same", use_bias=False)
        self.norm = L.BatchNormalization()
        self.second = L.Conv2D(6, 3, padding="same")

    def get_config(self):
        return {**super().get_config(), "relu": self.relu, "factor": self.factor}

    def build(self, shape):
        for layer in (self.first, self.norm, self.second):
            layer.build(shape)

    def call(self, x, training=False):
        relu = {"tf": tf.nn.relu, "ops": keras.ops.relu6, "none": lambda y: y}[self.relu]
        y = self.second(tf.nn.relu(self.norm(self.first(x), training=training)))
        return relu(x + (y if self.factor == 1 else self.factor * y))


class ResidualModel(keras.Model):
    """The same as a model within the model."""

    def __init__(self):
        super().__init__()
        self.block = Residual()

    def call(self, x, training=False):
        y = self.block(x, training=training)
        return keras.ops.maximum(y - 0.25 * x, 0.0)


class Dense2(L.Layer):
    """Gives its sum, and what a layer makes of that: the sum is read before it leaves."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (L.Conv2D(6, 3, padding="same") for _ in range(3))

    def call(self, x):
        y = self.a(x) + self.b(x)
        return y, self.c(y)


class Halves(L.Layer):
    """Reads its channels apart."""

    def __init__(self):
        super().__init__()
        self.a, self.b = (L.Conv2D(4, 3, padding="same") for _ in range(2))

    def call(self, x):
        return tf.concat([self.a(x[..., :3]), self.b(tf.reverse(x[..., 3:], [1]))], axis=-1)


def both(x):
    y, z = Dense2()(x)
    return L.Add()([y, z])


BODIES = {
    "ReLU": lambda x: Residual()(Residual()(x)),
    "ReLU6 of keras.ops": lambda x: Residual("ops")(Residual("ops")(x)),
    "no ReLU": lambda x: Residual("none")(Residual("none")(x)),
    "a factor": lambda x: Residual("none", 0.1)(Residual("tf", 0.3)(x)),
    "a model": lambda x: ResidualModel()(x),
    "two results": both,
    "halves": lambda x: Halves()(x),
}


class Own(keras.Model):
    """A model without a graph around the same layers."""

    def __init__(self):
        super().__init__()
        self.stem = L.Conv2D(6, 3, padding="same")
        self.blocks = [Residual("none", 0.5), Residual()]
        self.pool, self.end = L.GlobalAveragePooling2D(), L.Dense(10)

    def call(self, x, training=False):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, training=training)
        return self.end(self.pool(x))


def functional(body):
    def whole(x):
        return nets.head(body(L.Conv2D(6, 3, padding="same")(x)))

    return nets.functional(whole)


def fitted(model, **arguments):
    model(X[:1])
    model = nets.compiled(model, run_eagerly=True)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[int8x.QATCallback(**arguments)])
    return model


def check(model, path):
    assert handle_of(model).plan.unranged == []
    graph = int8x.export(model, path)
    for op, steps in steps_of_operators(model, graph, X_TEST):
        print(op.kind, np.bincount(steps.ravel()))
        assert steps.max() <= 1 and (steps == 0).mean() >= EQUAL, op
    return [op.kind for op in graph.main.operators]


def grids(graph):
    return [(op.kind, [t.quant for t in op.outputs]) for op in graph.main.operators]


@pytest.mark.parametrize("name", BODIES)
def test_operators_between_layers_round_as_the_file_does(name, tmp_path):
    nets.seed()
    kinds = check(fitted(functional(BODIES[name])), tmp_path / "model.tflite")
    assert not {"RELU", "RELU6"} & {*kinds}  # each fuses
    if name != "halves":  # the sides of a concatenation have grids of their own
        assert "QUANTIZE" not in kinds


def test_a_model_without_a_graph_rounds_as_its_file_does(tmp_path):
    nets.seed()
    kinds = check(fitted(Own()), tmp_path / "model.tflite")
    assert not {"RELU", "QUANTIZE"} & {*kinds}


def test_ranges_where_a_layer_is_left_are_saved_and_stripped(tmp_path):
    nets.seed()
    model = fitted(functional(BODIES["a factor"]))
    want = model.predict(X_TEST, verbose=0)
    first = grids(int8x.export(model, tmp_path / "first.tflite"))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    attach(again)
    again.load_weights(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(X_TEST, verbose=0), want)
    assert grids(int8x.export(again, tmp_path / "second.tflite")) == first
    strip(again)
    assert not any("int8x" in variable.path for variable in again.variables)


def test_a_relu_that_an_excluded_layer_reads_leaves_the_range_before_it(tmp_path):
    class Two(L.Layer):
        def __init__(self):
            super().__init__()
            self.first, self.end = L.Conv2D(6, 3), L.Conv2D(6, 3, name="end")

        def call(self, x):
            return self.end(tf.nn.relu(self.first(x)))

    nets.seed()
    model = fitted(functional(Two()), exclude=("end",))
    int8x.export(model, tmp_path / "model.tflite")
    assert off(model, tmp_path / "model.tflite").max() <= 2


def test_an_excluded_layer_of_layers_stays_float(tmp_path):
    nets.seed()
    model = fitted(functional(BODIES["ReLU"]), exclude=(Residual,))
    graph = int8x.export(model, tmp_path / "model.tflite")
    kinds = [op.kind for op in graph.main.operators if op.outputs[0].is_float]
    assert kinds.count("CONV_2D") == 4 and "ADD" in kinds
    assert off(model, tmp_path / "model.tflite").max() <= 2


class Gate(L.Layer):
    """Adds what its ReLU gives: that has no place to be rounded, so what goes in is rounded."""

    def __init__(self):
        super().__init__()
        self.inner = L.Conv2D(6, 3, padding="same")

    def call(self, x):
        return x + tf.nn.relu(self.inner(x))


def test_a_relu_that_an_operator_reads_does_not_fuse_and_is_named():
    nets.seed()
    gate = Gate()
    model = nets.compiled(functional(gate))
    with pytest.warns(UserWarning, match="no range is learned for Relu"):
        model.fit(X, Y, epochs=1, verbose=0, callbacks=[int8x.QATCallback()])
    (call,) = (c for c in handle_of(model).plan.calls if c.operation is gate.inner)
    assert 0 in call.outputs
