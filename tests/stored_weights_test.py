"""dynamic, weight_only and float16: activations stay float, weights become small.

weight_only computes exactly what the float model would with the rounded weights; so does float16.
dynamic also rounds each sample's activations to 255 steps of its own range, so that a result may
differ by half a step for each product.
"""

import int8x
import numpy as np
import pytest
from float_nets import Net, on_grid, small_network
from float_operators import build, outputs
from int8x.quantization.precision_rules import HYBRID, stored_weights
from int8x.quantization.rules import RULES
from int8x.tflite.graph import Graph

MODES = ("dynamic", "weight_only", "float16")
SAMPLES = on_grid((1, 8, 8, 3))
HYBRIDS = [
    "CONV_2D",
    "CONV_2D relu",
    "CONV_2D 1x1",
    "CONV_2D dilated",
    "DEPTHWISE_CONV_2D",
    "DEPTHWISE_CONV_2D multiplied, dilated",
    "FULLY_CONNECTED",
    "FULLY_CONNECTED of rows",
    "FULLY_CONNECTED keeps dimensions",
    "BATCH_MATMUL constant",
    "BATCH_MATMUL constant adjoint",
    "BATCH_MATMUL constant matrix",
]
STORED = [*HYBRIDS, "CONV_2D odd sizes", "CONV_2D grouped", "TRANSPOSE_CONV"]


def rounded(graph: Graph, recipe: str) -> Graph:
    """The float model with the weights that the mode stores, as float32."""
    same = graph.copy()
    coded = int8x.quantize(graph, recipe=recipe)
    stored = {t.name: t for t in coded.main.tensors if t.is_constant}
    for tensor in same.main.tensors:
        made = stored.get(tensor.name)
        if made is not None and made.dtype == "FLOAT16":
            tensor.data = made.data.astype(np.float32)
        elif made is not None and made.dtype == "INT8":
            scales, axis = made.quant.scales, made.quant.axis
            if axis is not None:
                scales = scales.reshape([-1 if i == axis else 1 for i in range(len(made.shape))])
            tensor.data = made.data.astype(np.float32) * scales
    return same


def deviation(coded: Graph, graph: Graph, samples: np.ndarray, resolver: str) -> np.ndarray:
    return np.abs(outputs(coded, samples, resolver) - outputs(graph, samples, resolver))


@pytest.mark.parametrize("resolver", ["BUILTIN_REF", "AUTO"])
@pytest.mark.parametrize("weights", ["per_channel", "per_tensor"])
@pytest.mark.parametrize("name", STORED)
def test_weight_only_computes_with_the_rounded_weights(name, weights, resolver):
    graph, samples = build(name)
    recipe = {"name": "weight_only", "weights": weights}
    coded = int8x.quantize(graph, recipe=recipe)
    assert any(t.dtype == "INT8" for t in coded.main.tensors)
    wanted = rounded(graph, recipe)
    error = deviation(coded, wanted, samples, resolver).max()
    assert error <= 1e-5 * np.abs(outputs(wanted, samples, resolver)).max()


@pytest.mark.parametrize("resolver", ["BUILTIN_REF", "AUTO"])
@pytest.mark.parametrize("name", [*STORED, "ADD constant", "PRELU", "GATHER"])
def test_float16_computes_with_the_rounded_constants(name, resolver):
    graph, samples = build(name)
    coded = int8x.quantize(graph, recipe="float16")
    assert not [t for t in coded.main.tensors if t.is_float and t.is_constant]
    wanted = rounded(graph, "float16")
    error = deviation(coded, wanted, samples, resolver).max()
    assert error <= 1e-5 * np.abs(outputs(wanted, samples, resolver)).max()


@pytest.mark.parametrize("resolver", ["BUILTIN_REF", "AUTO"])
@pytest.mark.parametrize("weights", ["per_channel", "per_tensor"])
@pytest.mark.parametrize("name", HYBRIDS)
def test_dynamic_rounds_weights_once_and_activations_per_sample(name, weights, resolver):
    graph, samples = build(name)
    recipe = {"name": "dynamic", "weights": weights}
    coded = int8x.quantize(graph, recipe=recipe)
    wanted = rounded(graph, recipe)
    weighted = [op for op in coded.main.operators if op.kind in HYBRID]
    assert all(op.inputs[1].dtype == "INT8" for op in weighted)
    for op in weighted:
        if op.kind in ("FULLY_CONNECTED", "BATCH_MATMUL"):  # the options of the others lack it
            assert op.options.asymmetricQuantizeInputs
    step = np.abs(samples).max() / 127  # the wider one, of kernels that quantize symmetrically
    (op,) = (op for op in wanted.main.operators if op.kind in HYBRID)
    kernel = np.abs(np.moveaxis(op.inputs[1].values, stored_weights(op).axis, 0))
    if kernel.ndim == 4 and op.kind == "BATCH_MATMUL":  # a matrix for each row of the first input
        kernel = kernel.transpose(0, 2, 1, 3)
        kernel = kernel.reshape(-1, kernel.shape[-1])
    gain = kernel.reshape(len(kernel), -1).sum(axis=1).max()
    bound = gain * step / 2 * (1 + 1e-3)
    error = deviation(coded, wanted, samples, resolver).max()
    assert 0 < error <= bound


@pytest.mark.parametrize("mode", MODES)
def test_no_data_is_needed_and_inputs_and_outputs_stay_float(mode):
    coded = int8x.quantize(small_network(), recipe=mode)
    assert not coded.quantization.float_operators
    for tensor in [*coded.main.inputs, *coded.main.outputs]:
        assert tensor.dtype == "FLOAT32"
    assert int8x.validate(small_network(), coded, SAMPLES).agreement == (1.0,)


@pytest.mark.parametrize("name", ["CONV_2D grouped", "TRANSPOSE_CONV"])
def test_dynamic_leaves_and_reports_what_has_no_hybrid_kernel(name):
    graph, _ = build(name)
    coded = int8x.quantize(graph, recipe="dynamic")
    (left,) = coded.quantization.float_operators
    assert left[1] == graph.main.operators[0].kind and "hybrid kernel" in left[2]
    assert coded.to_bytes() == graph.to_bytes()


@pytest.mark.parametrize("mode, share", [("dynamic", 4), ("weight_only", 4), ("float16", 2)])
def test_the_file_shrinks_by_what_the_weights_do(mode, share):
    net = Net()
    graph = net.done(net.dense(net.input(1, 512), 512))
    size = 4 * 512 * 512
    shrunk = len(graph.to_bytes()) - len(int8x.quantize(graph, recipe=mode).to_bytes())
    assert abs(shrunk - (size - size // share)) < 8192


def test_a_shared_constant_is_stored_and_opened_once():
    net = Net()
    x = net.input(1, 8, 8, 3)
    kernel = net.constant(net.weights(3, 1, 1, 3))
    y = net.conv(net.conv(x, 3, size=1), 3, size=1)
    for op in net.main.operators:
        op.inputs[1] = kernel
    for mode in ("weight_only", "float16"):
        coded = int8x.quantize(net.done(y), recipe=mode)
        convs = [op for op in coded.main.operators if op.kind == "CONV_2D"]
        assert convs[0].inputs[1] is convs[1].inputs[1]
        opened = [op for op in coded.main.operators if op.outputs[0] is convs[0].inputs[1]]
        assert [op.kind for op in opened] == ["DEQUANTIZE"]


def test_tables_that_are_looked_up_in_count_as_weights():
    net = Net()
    index = net.input(1, 6, name="index")
    index.dtype = "INT32"
    table = net.constant(net.random.normal(0, 1, (10, 8)).astype(np.float32), "table")
    graph = net.done(net.add("GATHER", [table, index], 1, 6, 8, options="GatherOptions"))
    coded = int8x.quantize(graph, recipe="weight_only")
    assert [op.kind for op in coded.main.operators] == ["DEQUANTIZE", "GATHER"]
    stored = coded.main.operators[0].inputs[0]
    assert stored.dtype == "INT8" and len(stored.quant.scales) == 10


def test_a_weight_beyond_float16_is_named():
    graph, _ = build("FULLY_CONNECTED")
    kernel = graph.main.operators[-1].inputs[1]
    kernel.data = kernel.data * np.float32(1e6)
    with pytest.raises(int8x.QuantizeError, match=f"{kernel.name}: .* does not fit float16"):
        int8x.quantize(graph, recipe="float16")


@pytest.mark.parametrize("mode", MODES)
def test_given_weight_scales_are_used(mode):
    graph, _ = build("FULLY_CONNECTED")
    kernel = graph.main.operators[-1].inputs[1]
    graph.ranges[kernel] = int8x.QuantParams([0.5] * 7, 0, axis=0, source="qat")
    grids = int8x.quantize(graph, recipe=mode).quantization.grids
    if mode == "float16":
        assert not grids
    else:
        assert grids[kernel.name].source == "qat" and set(grids[kernel.name].scale) == {0.5}
    assert RULES["FULLY_CONNECTED"].weights is not None
