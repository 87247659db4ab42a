"""int8_w4: weights of four bits, packed as TFLite stores them, in the operators whose reference
kernels take them.

The weights lie on INT4 grids already, so an operator alone differs from its float form as its int8
form does: one step of the result, and half a step of the bias.
"""

import int8x
import numpy as np
import pytest
from float_nets import Net, on_grid, small_network
from float_operators import SHAPE, build, outputs
from int8x.quantization.rules import RULES
from int8x.tflite.graph import Graph
from int8x.tflite.schema import make

TAKEN = [
    "CONV_2D",
    "CONV_2D relu",
    "CONV_2D relu6 stride 2 no bias",
    "CONV_2D 1x1",
    "CONV_2D grouped",
    "CONV_2D dilated",
    "DEPTHWISE_CONV_2D",
    "DEPTHWISE_CONV_2D multiplied, dilated",
    "FULLY_CONNECTED",
    "FULLY_CONNECTED of rows",
    "FULLY_CONNECTED keeps dimensions",
]


def on_int4_grid(weights: np.ndarray, axis: int) -> np.ndarray:
    """Weights k * scale[channel], k in [-7, 7], both ends present."""
    rows = np.moveaxis(weights, axis, 0).copy()
    scales = (np.abs(rows).reshape(len(rows), -1).max(axis=1) / 7).astype(np.float32)
    scales = scales.reshape(-1, *[1] * (rows.ndim - 1))
    return np.ascontiguousarray(np.moveaxis(np.round(rows / scales) * scales, 0, axis))


def coarse(name: str) -> tuple[Graph, np.ndarray]:
    graph, samples = build(name)
    for op in graph.main.operators:
        place = RULES[op.kind].weights
        if place is not None:
            weights = op.inputs[place.index]
            weights.data = on_int4_grid(weights.data, place.axis)
    return graph, samples


@pytest.mark.parametrize("resolver", ["BUILTIN_REF", "AUTO"])
@pytest.mark.parametrize("name", TAKEN)
def test_the_operator_is_within_its_bound_of_the_float_one(name, resolver):
    graph, samples = coarse(name)
    coded = int8x.quantize(graph, data=samples, recipe="int8_w4")
    expected, got = outputs(graph, samples, "AUTO"), outputs(coded, samples, resolver)
    kernel, bias = next(
        op.inputs[1:] for op in coded.main.operators if RULES[op.kind].weights is not None
    )
    assert kernel.dtype == "INT4" and bias.dtype == "INT32"
    grid = coded.main.outputs[0].quant
    low, high = ((q - grid.zero_point) * grid.scale for q in (-128, 127))
    worst = np.abs(got - np.clip(expected, low, high)).max()
    assert worst <= grid.scale + bias.quant.scales.max() / 2 + 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_two_weights_share_a_byte_low_half_first(count):
    net = Net()
    weights = np.arange(count, dtype=np.float32).reshape(1, count) % 15 - 7
    y = net.add("FULLY_CONNECTED", [net.input(1, count), net.constant(weights)], 1, 1)
    net.main.operators[-1].options = make("FullyConnectedOptions")
    coded = int8x.quantize(net.done(y), data=on_grid((1, count)), recipe="int8_w4")
    again = Graph.from_bytes(coded.to_bytes()).main.operators[0].inputs[1]
    assert again.dtype == "INT4" and len(again.buffer) == (count + 1) // 2
    scale = np.abs(weights).max() / 7
    np.testing.assert_array_equal(again.data, np.round(weights / scale))
    assert again.buffer[0] & 15 == int(again.data[0, 0]) & 15


def test_weights_end_at_seven_on_both_sides_and_zeros_stay():
    graph = small_network()
    kernel = graph.main.operators[0].inputs[1]
    kernel.data = np.where(np.random.default_rng(0).random(kernel.shape) < 0.5, 0, kernel.data)
    coded = int8x.quantize(graph, data=on_grid((1, 8, 8, 3)), recipe="int8_w4")
    weights = [t.data for t in coded.main.tensors if t.dtype == "INT4"]
    assert len(weights) == 5
    assert all(abs(w).max() == 7 for w in weights) and min(w.min() for w in weights) == -7
    assert not np.any(coded.main.operators[0].inputs[1].data[kernel.data == 0])


def test_operators_without_int4_kernels_are_refused_by_name():
    graph, samples = build("TRANSPOSE_CONV")
    with pytest.raises(
        int8x.QuantizeError,
        match=r"made int8_w4: TRANSPOSE_CONV '.*' \(its kernel takes no INT4 weights\)",
    ):
        int8x.quantize(graph, data=samples, recipe="int8_w4")
    rule = {"kind": "TRANSPOSE_CONV", "compute": "int8"}
    recipe = {"name": "int8_w4", "overrides": [rule]}
    coded = int8x.quantize(graph, data=samples, recipe=recipe)
    plain = int8x.quantize(graph, data=samples, recipe="minmax")
    assert coded.to_bytes() == plain.to_bytes()


def test_operators_without_weights_are_plain_int8():
    for name in ("ADD", "SOFTMAX", "MAX_POOL_2D"):
        graph, samples = build(name)
        coded = int8x.quantize(graph, data=samples, recipe="int8_w4")
        assert coded.to_bytes() == int8x.quantize(graph, data=samples).to_bytes()


def test_the_weights_take_half_the_bytes_of_int8():
    net = Net()
    graph = net.done(net.dense(net.input(1, 256), 64))
    stats = int8x.calibrate(graph, on_grid((1, 256)))
    sizes = [
        len(int8x.quantize(graph, stats, recipe=recipe).to_bytes())
        for recipe in ("int8", "int8_w4")
    ]
    assert sizes[0] - sizes[1] == 256 * 64 / 2


@pytest.mark.parametrize("bits", [8, 4])
def test_given_scales_count_when_they_are_of_four_bits(bits):
    graph, samples = coarse("CONV_2D")
    kernel = graph.main.operators[-1].inputs[1]
    graph.ranges[kernel] = int8x.QuantParams([0.5] * 5, 0, axis=0, bits=bits)
    made = int8x.quantize(graph, data=samples, recipe="int8_w4").main.operators[-1].inputs[1]
    assert np.all(made.quant.scales == 0.5) == (bits == 4)
    assert SHAPE[3] == made.shape[3]
