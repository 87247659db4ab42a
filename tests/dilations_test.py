"""Dilated convolutions that TFLiteConverter leaves in three operators become one, and are equal."""

import numpy as np
import pytest
import tensorflow as tf
from int8x.quantization.passes import prepare
from int8x.quantizer import quantize
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph

L = tf.keras.layers


def gated(x):
    how = {"padding": "causal", "dilation_rate": 3}
    branches = [L.Conv1D(6, 2, activation=name, **how)(x) for name in ("tanh", "sigmoid", "relu")]
    return L.Multiply()(branches)


def pyramid(x):
    return L.Concatenate()([L.Conv2D(5, 3, padding="same", dilation_rate=2)(x) for _ in range(2)])


def depthwise(x):
    """Rows are filled up to a multiple of the dilation, and cropped again."""
    return L.DepthwiseConv2D(3, dilation_rate=3, depth_multiplier=2)(x)


def uneven(x):
    x = [L.Conv2D(4, (3, 2), padding="same", dilation_rate=(2, 3))(x) for _ in range(2)]
    return L.ReLU(6.0)(L.Add()(x))


NETS = {
    "gated": (gated, (20, 4)),
    "pyramid": (pyramid, (11, 13, 4)),
    "depthwise": (depthwise, (11, 13, 4)),
    "depthwise, one axis": (lambda x: L.DepthwiseConv1D(3, dilation_rate=2)(x), (15, 4)),
    "uneven": (uneven, (11, 13, 4)),
}


def converted(name: str) -> tuple[Graph, np.ndarray]:
    body, shape = NETS[name]
    tf.keras.utils.set_random_seed(3)
    inputs = L.Input(shape)
    model = tf.keras.Model(inputs, body(inputs))
    for layer in model.layers:
        layer.set_weights([np.random.normal(size=w.shape) for w in layer.get_weights()])
    samples = np.random.normal(size=(6, 1, *shape)).astype(np.float32)
    return Graph.from_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert()), samples


def outputs(graph: Graph, samples: np.ndarray) -> np.ndarray:
    runner = Runner(graph.to_bytes(), "model")
    index, results = graph.main.tensors.index(graph.main.outputs[0]), []
    for sample in samples:
        runner.run([sample])
        results.append(np.array(runner.value(index)))
    return np.stack(results)


def kinds(graph: Graph) -> list[str]:
    return [op.kind for op in graph.main.operators]


@pytest.mark.parametrize("name", NETS)
def test_three_operators_become_one_and_compute_the_same(name):
    graph, samples = converted(name)
    assert "BATCH_TO_SPACE_ND" in kinds(graph)
    before = outputs(graph, samples)
    prepare(graph)
    assert not {"BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "RELU"} & {*kinds(graph)}
    np.testing.assert_allclose(outputs(graph, samples), before, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_the_int8_net_has_no_other_operators(name):
    graph, samples = converted(name)
    made = quantize(graph.to_bytes(), data=samples[:, 0])
    assert {t.dtype for op in made.main.operators for t in op.outputs} == {"INT8"}
    weighted = [op for op in made.main.operators if "CONV_2D" in op.kind]
    assert all(max(op.options.dilationWFactor, op.options.dilationHFactor) > 1 for op in weighted)


def test_a_view_that_mixes_axes_stays():
    graph, _ = converted("gated")
    for op in graph.main.operators:
        if op.kind == "BATCH_TO_SPACE_ND":
            view = next(v for v in graph.main.operators if v.outputs[0] is op.inputs[0])
            view.outputs[0].shape = (view.outputs[0].shape[0], 1, -1)
    prepare(graph)
    assert kinds(graph).count("BATCH_TO_SPACE_ND") == 3


def test_what_is_read_in_between_stays():
    graph, _ = converted("pyramid")
    (first, *_) = (op for op in graph.main.operators if op.kind == "CONV_2D")
    graph.main.outputs.append(first.outputs[0])
    prepare(graph)
    assert kinds(graph).count("BATCH_TO_SPACE_ND") == 1
    assert kinds(graph).count("SPACE_TO_BATCH_ND") == 1
