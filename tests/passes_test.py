"""Float-to-float passes: each keeps what the model computes, and leaves the shape that the next
stage expects.
"""

import numpy as np
import pytest
from float_nets import NONE, RELU, RELU6, Net, on_grid, small_network
from int8x.quantization.passes import (
    add_biases,
    fold_float16,
    fold_multiply_add,
    fold_reshape_shapes,
    fuse_activations,
    prepare,
    recover_weight_grids,
    remove_dead,
    remove_no_ops,
    strip_markers,
    unique_names,
)
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph
from int8x.tflite.quant_params import QuantParams

SAMPLES = on_grid((1, 6, 6, 4))


def kinds(graph: Graph) -> list[str]:
    return [op.kind for op in graph.main.operators]


def run(graph: Graph, samples: np.ndarray = SAMPLES) -> np.ndarray:
    graph.compact()
    runner = Runner(graph.to_bytes(), "model")
    index, results = graph.main.tensors.index(graph.main.outputs[0]), []
    for sample in samples:
        runner.run([sample[None]])
        results.append(np.array(runner.value(index)))
    return np.stack(results)


def check(net: Net, output, edit, expected: list[str], tolerance: float = 0.0) -> Graph:
    """`edit` leaves the operators `expected`, and outputs within `tolerance` of the largest
    (float32 reordering).
    """
    graph = net.done(output)
    before = run(graph)
    edit(graph)
    assert kinds(graph) == expected
    assert graph.main.outputs[0].name == output.name
    np.testing.assert_allclose(run(graph), before, rtol=0, atol=tolerance * np.abs(before).max())
    return graph


@pytest.mark.parametrize("kind", ["RELU", "RELU6", "RELU_N1_TO_1"])
@pytest.mark.parametrize("producer", ["conv", "depthwise", "ADD", "MAX_POOL_2D"])
def test_an_activation_moves_into_the_operator_before_it(kind, producer):
    net = Net()
    x = net.input(1, 6, 6, 4)
    y = {
        "conv": lambda: net.conv(x, 5),
        "depthwise": lambda: net.depthwise(x),
        "ADD": lambda: net.binary("ADD", x, x),
        "MAX_POOL_2D": lambda: net.pool("MAX_POOL_2D", x),
    }[producer]()
    graph = net.done(net.add(kind, [y], *y.shape))
    check(net, graph.main.outputs[0], fuse_activations, [kinds(graph)[0]])


@pytest.mark.parametrize("why", ["read twice", "is an output", "has a range", "fused already"])
def test_an_activation_stays_where_the_value_before_it_is_wanted(why):
    net = Net()
    x = net.input(1, 6, 6, 4)
    y = net.conv(x, 4, activation=RELU6 if why == "fused already" else NONE)
    z = net.add("RELU", [y], *y.shape)
    outputs = (
        [net.binary("ADD", y, z)]
        if why == "read twice"
        else [z, y]
        if why == "is an output"
        else [z]
    )
    if why == "has a range":
        y.range = QuantParams(0.1)
    graph = net.done(*outputs)
    fuse_activations(graph)
    assert "RELU" in kinds(graph)


@pytest.mark.parametrize("layer", ["conv", "depthwise", "dense"])
def test_multiply_and_add_per_channel_move_into_weights_and_bias(layer):
    net = Net()
    x = net.input(1, 6, 6, 4)
    y = {
        "conv": lambda: net.conv(x, 5),
        "depthwise": lambda: net.depthwise(x),
        "dense": lambda: net.dense(net.reshape(x, 1, 144), 7),
    }[layer]()
    channels = y.shape[-1]
    zeros = y.shape[-1] and net.main.operators[-1].inputs[1]
    weights = np.array(zeros.data)
    weights.reshape(-1)[3] = 0
    zeros.data = weights
    scaled = net.binary("MUL", y, net.constant(net.random.normal(size=channels).astype(np.float32)))
    moved = net.binary(
        "SUB",
        scaled,
        net.constant(
            net.random.normal(size=(1,) * (len(y.shape) - 1) + (channels,)).astype(np.float32)
        ),
    )
    shifted = net.binary("ADD", net.constant(np.float32([0.25])), moved, activation=RELU)
    expected = [op.kind for op in net.main.operators[:-3]]
    graph = check(net, shifted, fold_multiply_add, expected, 2e-6)
    assert graph.main.operators[-1].inputs[1].data.reshape(-1)[3] == 0


def test_folding_scales_the_weights_given_range_along():
    net = Net()
    x = net.input(1, 6, 6, 4)
    y = net.conv(x, 2)
    net.main.operators[0].inputs[1].range = QuantParams([0.1, 0.2], 0, axis=0)
    graph = net.done(net.binary("MUL", y, net.constant(np.float32([-2.0, 0.5]))))
    fold_multiply_add(graph)
    assert graph.main.operators[0].inputs[1].range == QuantParams([0.2, 0.1], 0, axis=0)


def test_a_constant_that_is_no_channel_vector_stays():
    net = Net()
    x = net.input(1, 6, 6, 4)
    y = net.binary("MUL", net.conv(x, 4), net.constant(np.ones((1, 6, 6, 1), np.float32)))
    graph = net.done(y)
    fold_multiply_add(graph)
    assert kinds(graph) == ["CONV_2D", "MUL"]


def test_operators_that_change_nothing_go_away():
    net = Net()
    x = net.input(1, 6, 6, 4)
    a = net.add("PAD", [x, net.constant(np.zeros((4, 2), np.int32))], *x.shape)
    b = net.add("TRANSPOSE", [a, net.constant(np.arange(4, dtype=np.int32))], *x.shape)
    c = net.concat([net.reshape(b, *x.shape)])
    d = net.reshape(net.reshape(net.add("LOGISTIC", [c], *x.shape), 1, 36, 4), 1, 144)
    check(net, d, remove_no_ops, ["LOGISTIC", "RESHAPE"])


def test_a_reshape_to_the_batch_read_at_run_time_gets_a_constant_shape():
    net = Net()
    x = net.input(1, 6, 6, 4)
    shape = net.add("SHAPE", [x], 4, dtype="INT32", options="ShapeOptions", outType=2)
    begin, end, one = (net.constant(np.array([v], np.int32)) for v in (0, 1, 1))
    batch = net.add(
        "STRIDED_SLICE",
        [shape, begin, end, one],
        dtype="INT32",
        options="StridedSliceOptions",
        shrinkAxisMask=1,
    )
    packed = net.add(
        "PACK",
        [batch, net.constant(np.array(144, np.int32))],
        2,
        dtype="INT32",
        options="PackOptions",
        valuesCount=2,
        axis=0,
    )
    output = net.add("RESHAPE", [x, packed], 1, 144, options="ReshapeOptions")

    def edit(graph):
        fold_reshape_shapes(graph)
        remove_dead(graph)

    graph = check(net, output, edit, ["RESHAPE"])
    assert graph.main.operators[0].inputs[1].data.tolist() == [-1, 144]


def test_float16_constants_become_float32():
    net = Net()
    x = net.input(1, 6, 6, 4)
    half = net.constant(np.linspace(-1, 1, 4).astype(np.float16))
    wide = net.add("DEQUANTIZE", [half], 4, options="DequantizeOptions")
    graph = check(net, net.binary("MUL", x, wide), fold_float16, ["MUL"])
    assert graph.main.operators[0].inputs[1].data.dtype == np.float32


def test_convolutions_without_bias_get_zeros():
    net = Net()
    graph = net.done(net.depthwise(net.conv(net.input(1, 6, 6, 4), 4, bias=False), bias=False))
    add_biases(graph)
    assert [op.inputs[2].data.tolist() for op in graph.main.operators] == [[0.0] * 4] * 2


def test_names_become_unique_and_the_interface_keeps_its_own():
    net = Net()
    x = net.input(1, 4)
    y = net.add("RELU", [x], 1, 4)
    z = net.add("RELU", [y], 1, 4)
    y.name = z.name = "same"
    unique_names(net.done(z))
    assert (z.name, y.name) == ("same", "same#2")


def marked(net: Net, x, scale: float, zero_point: int):
    coded = net.add("QUANTIZE", [x], *x.shape, options="QuantizeOptions", dtype="UINT8")
    coded.quant = QuantParams(scale, zero_point)
    return net.add("DEQUANTIZE", [coded], *x.shape, options="DequantizeOptions")


def test_markers_become_ranges_of_the_tensor_before_them_on_the_int8_grid():
    net = Net()
    x = net.input(1, 6, 6, 4)
    a = net.conv(marked(net, x, 0.05, 125), 4)
    b = net.add("LOGISTIC", [marked(net, a, 0.1, 0)], *a.shape)
    graph = net.done(marked(net, b, 1 / 255, 0))
    name = graph.main.outputs[0].name
    strip_markers(graph)
    assert kinds(graph) == ["CONV_2D", "LOGISTIC"]
    assert [(graph.ranges[t].scale, graph.ranges[t].zero_point) for t in (x, a, b)] == [
        (np.float32(0.05), -3),
        (np.float32(0.1), -128),
        (np.float32(1 / 255), -128),
    ]
    assert graph.main.outputs[0] is b and b.name == name
    assert graph.signatures[0].outputs[0].tensorIndex is b


def test_two_readers_of_one_marked_tensor_share_its_range():
    net = Net()
    x = net.input(1, 6, 6, 4)
    both = [marked(net, x, 0.05, 128), marked(net, x, 0.05, 128)]
    graph = net.done(net.binary("ADD", *both))
    strip_markers(graph)
    assert graph.main.operators[0].inputs == [x, x] and graph.ranges[x].zero_point == 0


def test_integer_constants_behind_dequantize_become_weights_with_their_scales():
    net = Net()
    x = net.input(1, 6, 6, 4)
    steps = net.random.integers(-127, 128, (5, 3, 3, 4)).astype(np.int8)
    scales = np.linspace(0.01, 0.05, 5).astype(np.float32)
    coded = net.main.add_constant("coded", steps, QuantParams(scales, 0, axis=0))
    wide = net.add("DEQUANTIZE", [coded], *steps.shape, options="DequantizeOptions")
    y = net.conv(x, 5)
    net.main.operators[-1].inputs[1] = wide
    graph = net.done(y)
    strip_markers(graph)
    assert kinds(graph) == ["CONV_2D"]
    np.testing.assert_array_equal(
        wide.data, (steps * scales.astype(np.float64)[:, None, None, None]).astype(np.float32)
    )
    assert graph.ranges[wide].same_grid(QuantParams(scales, 0, axis=0))


def test_weights_on_a_grid_give_their_scales_back():
    graph = small_network()
    expected = {}
    for op in graph.main.operators:
        if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            axis = 3 if op.kind == "DEPTHWISE_CONV_2D" else 0
            weights = op.inputs[1]
            expected[weights] = (
                np.abs(np.moveaxis(weights.data, axis, 0))
                .reshape(weights.shape[axis], -1)
                .max(axis=1)
                / 127
            )
    count = recover_weight_grids(graph)
    assert count == sum(len(scales) for scales in expected.values())
    for weights, scales in expected.items():
        np.testing.assert_allclose(weights.range.scales, scales, rtol=1e-6)


def test_weights_on_no_grid_get_none():
    net = Net()
    y = net.conv(net.input(1, 6, 6, 4), 8)
    net.main.operators[0].inputs[1].data = net.random.normal(size=(8, 3, 3, 4)).astype(np.float32)
    graph = net.done(y)
    assert recover_weight_grids(graph) == 0 and not graph.ranges


def test_a_recovered_grid_survives_float_rounding_and_spares_zero_channels():
    net = Net()
    y = net.conv(net.input(1, 6, 6, 4), 4)
    weights = net.main.operators[0].inputs[1]
    steps = net.random.integers(-90, 91, weights.shape)
    steps.reshape(4, -1)[:, 0] = 90, -77, 0, 31
    steps[2] = 0
    folded = net.random.uniform(0.3, 3, (4, 1, 1, 1)).astype(np.float32)
    weights.data = ((steps * np.float32(0.013)).astype(np.float32) * folded).astype(np.float32)
    graph = net.done(y)
    assert recover_weight_grids(graph) == 3
    again = np.round(weights.data / weights.range.scales.reshape(4, 1, 1, 1)).astype(int)
    np.testing.assert_array_equal(again, steps)


def test_preparing_twice_changes_nothing_more():
    graph = prepare(small_network())
    before = graph.to_bytes()
    assert prepare(graph).to_bytes() == before
