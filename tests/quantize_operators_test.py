"""Each operator alone, full int8, under the reference kernels: within the derived bound of the float result.

The input and the weights lie on their grids already, so the int8 model differs from the float one by rounding its result once,
by the rounding of the bias, and by what fixed point loses: at most one step of the output, plus half a step of the bias.
Where an input's grid is not its own (CONCATENATION) or a constant is rounded (ADD, MUL), half a step of that is added.
"""

import numpy as np
import pytest
from float_nets import RELU, RELU6, Net, on_grid

import int8x
from int8x import _native
from int8x.graph import Graph
from int8x.interpreter import Runner
from int8x.passes import prepare
from int8x.schema import make

SHAPE = (1, 6, 6, 4)
AXES = np.array([1, 2], np.int32)


def unary(kind: str, **fields):
    return lambda net, x: net.add(kind, [x], *x.shape, **fields)


def mean(net, x):
    return net.add("MEAN", [x, net.constant(AXES)], 1, 4, options="ReducerOptions", keepDims=False)


def pad(net, x):
    return net.add("PAD", [x, net.constant(np.array([[0, 0], [1, 2], [2, 1], [0, 0]], np.int32))], 1, 9, 9, 4,
                   options="PadOptions")


def resize(kind, options, **fields):
    return lambda net, x: net.add(kind, [x, net.constant(np.array([12, 9], np.int32))], 1, 12, 9, 4, options=options, **fields)


def transpose_conv(net, x):
    shape, weights = net.constant(np.array([1, 12, 12, 3], np.int32)), net.constant(net.weights(3, 2, 2, 4))
    return net.add("TRANSPOSE_CONV", [shape, weights, x, *net.bias(3, True)], 1, 12, 12, 3, options="TransposeConvOptions",
                   padding=1, strideH=2, strideW=2)


def split(net, x):
    axis, halves = net.constant(np.array(3, np.int32)), [net.main.add_tensor(f"half{i}", (1, 6, 6, 2)) for i in (0, 1)]
    net.main.add_operator("SPLIT", [axis, x], halves, options="SplitOptions", numSplits=2)
    return halves[1]


def strided_slice(net, x):
    bounds = [net.constant(np.array(v, np.int32)) for v in ([0, 1, 0, 0], [1, 6, 6, 4], [1, 2, 3, 1])]
    return net.add("STRIDED_SLICE", [x, *bounds], 1, 3, 2, 4, options="StridedSliceOptions")


# name: (builder, steps of the output, versions of the result's operators)
CASES = {
    "CONV_2D": (lambda net, x: net.conv(x, 5), 1, 3),
    "CONV_2D relu": (lambda net, x: net.conv(x, 5, activation=RELU), 1, 3),
    "CONV_2D relu6 stride 2 no bias": (lambda net, x: net.conv(x, 3, stride=2, activation=RELU6, bias=False), 1, 3),
    "CONV_2D 1x1": (lambda net, x: net.conv(x, 9, size=1), 1, 3),
    "DEPTHWISE_CONV_2D": (lambda net, x: net.depthwise(x), 1, 3),
    "DEPTHWISE_CONV_2D no bias": (lambda net, x: net.depthwise(x, bias=False), 1, 3),
    "FULLY_CONNECTED": (lambda net, x: net.dense(net.reshape(x, 1, 144), 7), 1, 4),
    "FULLY_CONNECTED no bias": (lambda net, x: net.dense(net.reshape(x, 1, 144), 7, bias=False), 1, 4),
    "TRANSPOSE_CONV": (transpose_conv, 1, 3),
    "ADD": (lambda net, x: net.binary("ADD", x, x), 1, 2),
    "ADD constant": (lambda net, x: net.binary("ADD", x, net.constant(np.float32([0.5, -1, 2, 0]))), 1.5, 2),
    "SUB": (lambda net, x: net.binary("SUB", x, net.constant(np.float32([1.0]))), 1.5, 2),
    "MUL": (lambda net, x: net.binary("MUL", x, x), 1, 2),
    "MUL constant": (lambda net, x: net.binary("MUL", x, net.constant(np.float32([2.0]))), 1, 2),
    "AVERAGE_POOL_2D": (lambda net, x: net.pool("AVERAGE_POOL_2D", x), 1, 2),
    "MAX_POOL_2D": (lambda net, x: net.pool("MAX_POOL_2D", x), 0, 2),
    "MEAN": (mean, 1, 2),
    "RESHAPE": (lambda net, x: net.reshape(x, 1, 36, 4), 0, 1),
    "PAD": (pad, 0, 2),
    "SOFTMAX": (unary("SOFTMAX", options="SoftmaxOptions", beta=1.0), 1, 2),
    "LOGISTIC": (unary("LOGISTIC"), 1, 2),
    "TANH": (unary("TANH"), 1, 2),
    "RELU": (unary("RELU"), 1, 2),
    "RELU6": (unary("RELU6"), 1, 2),
    "RELU_N1_TO_1": (unary("RELU_N1_TO_1"), 1, 1),
    "LEAKY_RELU": (unary("LEAKY_RELU", options="LeakyReluOptions", alpha=0.25), 1, 1),
    "HARD_SWISH": (unary("HARD_SWISH", options="HardSwishOptions"), 2, 1),  # 16-bit inside, truncating
    "GELU": (unary("GELU", options="GeluOptions", approximate=False), 1, 2),
    "EXP": (lambda net, x: net.add("EXP", [net.add("TANH", [x], *x.shape)], *x.shape), 3, 2),  # e^1 times a step of TANH
    "ABS": (unary("ABS"), 1, 2),
    "L2_NORMALIZATION": (unary("L2_NORMALIZATION", options="L2NormOptions"), 1, 2),
    "LOG_SOFTMAX": (unary("LOG_SOFTMAX", options="LogSoftmaxOptions"), 1, 2),
    "PRELU": (lambda net, x: net.add("PRELU", [x, net.constant(np.full((1, 1, 4), 0.5, np.float32))], *x.shape), 1, 1),
    "CONCATENATION": (lambda net, x: net.concat([x, x]), 0, 2),
    "CONCATENATION constant": (lambda net, x: net.concat([x, net.constant(np.ones(SHAPE, np.float32))]), 0.5, 2),
    "MAXIMUM": (lambda net, x: net.add("MAXIMUM", [x, net.constant(np.zeros(1, np.float32))], *x.shape,
                                       options="MaximumMinimumOptions"), 0.5, 2),
    "REDUCE_MAX": (lambda net, x: net.add("REDUCE_MAX", [x, net.constant(AXES)], 1, 4, options="ReducerOptions"), 0, 2),
    "TRANSPOSE": (lambda net, x: net.add("TRANSPOSE", [x, net.constant(np.array([0, 3, 1, 2], np.int32))], 1, 4, 6, 6), 0, 2),
    "SPLIT": (split, 0, 2),
    "STRIDED_SLICE": (strided_slice, 0, 2),
    "SPACE_TO_DEPTH": (lambda net, x: net.add("SPACE_TO_DEPTH", [x], 1, 3, 3, 16, options="SpaceToDepthOptions", blockSize=2), 0, 2),
    "RESIZE_NEAREST_NEIGHBOR": (resize("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"), 0, 2),
    "RESIZE_BILINEAR": (resize("RESIZE_BILINEAR", "ResizeBilinearOptions", halfPixelCenters=True), 1.5, 3),  # coordinates in 1/1024
    "RESIZE_BILINEAR corners": (resize("RESIZE_BILINEAR", "ResizeBilinearOptions", alignCorners=True), 1.5, 2),
}  # fmt: skip


def build(name: str) -> tuple[Graph, np.ndarray]:
    net = Net(len(name))
    x = net.input(*SHAPE)
    graph = net.done(CASES[name][0](net, x))
    return prepare(Graph.from_bytes(graph.to_bytes())), on_grid(SHAPE)


def outputs(graph: Graph, samples: np.ndarray, resolver: str) -> np.ndarray:
    """Real values of the first output, sample by sample."""
    runner, (source,), (result,) = Runner(graph.to_bytes(), "model", 1, resolver), graph.main.inputs, graph.main.outputs
    index, results = graph.main.tensors.index(result), []
    for sample in samples:
        fed = sample[None]
        if source.quant is not None:
            low = 0 if source.dtype == "UINT8" else -128
            fed = _native.quantize(fed, source.quant.scale, source.quant.zero_point, low, low + 255)
            fed = fed.astype(np.uint8 if low == 0 else np.int8)
        runner.run([fed])
        value = np.array(runner.value(index))
        if result.quant is not None:
            value = (value.astype(np.float64) - result.quant.zero_point) * result.quant.scale
        results.append(value)
    return np.stack(results)


@pytest.mark.parametrize("name", CASES)
def test_the_int8_operator_is_within_its_bound_of_the_float_one(name):
    graph, samples = build(name)
    coded = int8x.quantize(graph, data=samples)
    assert not [t for t in coded.main.tensors if t.is_float]
    expected, got = outputs(graph, samples, "AUTO"), outputs(coded, samples, "BUILTIN_REF")
    result = coded.main.outputs[0]
    bias = max((t.quant.scales.max() for op in coded.main.operators for t in op.inputs if t is not None and t.dtype == "INT32"
                and t.quant is not None), default=0)
    bound = CASES[name][1] * result.quant.scale + bias / 2 + 1e-5 * np.abs(expected).max()
    # What lies beyond the output's grid saturates, as it must.
    low, high = ((q - result.quant.zero_point) * result.quant.scale for q in (-128, 127))
    assert np.abs(got - np.clip(expected, low, high)).max() <= bound
    assert np.abs(np.clip(expected, low, high) - expected).max() <= result.quant.scale + 1e-6
    assert coded.main.operators[-1].version == CASES[name][2]


@pytest.mark.parametrize("name", CASES)
def test_the_default_kernels_load_it_too(name):
    graph, samples = build(name)
    outputs(int8x.quantize(graph, data=samples), samples[:1], "AUTO")


@pytest.mark.parametrize("io, dtype", [("int8", "INT8"), ("uint8", "UINT8"), ("float", "FLOAT32")])
def test_inputs_and_outputs_have_the_type_the_recipe_says_and_their_old_names(io, dtype):
    graph, samples = build("CONV_2D")
    coded = int8x.quantize(graph, data=samples, recipe=int8x.Recipe(io=io))
    for before, after in zip([*graph.main.inputs, *graph.main.outputs], [*coded.main.inputs, *coded.main.outputs], strict=True):
        assert (after.name, after.dtype) == (before.name, dtype)
    again = Graph.from_bytes(coded.to_bytes())
    assert again.signatures[0].outputs[0].tensorIndex is again.main.outputs[0]
    assert again.signatures[0].inputs[0].tensorIndex is again.main.inputs[0]
    reference = int8x.quantize(graph, data=samples)
    np.testing.assert_allclose(outputs(again, samples, "BUILTIN_REF"), outputs(reference, samples, "BUILTIN_REF"), rtol=1e-6)


@pytest.mark.parametrize("weights, scales", [("per_channel", 5), ("per_tensor", 1)])
def test_weights_have_one_scale_per_channel_or_one(weights, scales):
    graph, samples = build("CONV_2D")
    coded = int8x.quantize(graph, data=samples, recipe=int8x.Recipe(weights=weights))
    kernel, bias = coded.main.operators[-1].inputs[1:]
    assert len(kernel.quant.scales) == len(bias.quant.scales) == scales
    assert kernel.data.min() >= -127 and not np.any(kernel.quant.zero_points)
    product = np.float64(coded.main.inputs[0].quant.scale) * kernel.quant.scales.astype(np.float64)
    np.testing.assert_array_equal(bias.quant.scales, product.astype(np.float32))


def test_the_versions_come_from_what_the_operator_holds():
    net = Net()
    x = net.input(*SHAPE)
    graph = net.done(net.binary("MUL", net.binary("MUL", x, x), net.constant(np.float32([100.0]))))
    graph.main.outputs[0].range = int8x.QuantParams(0.001, 0)
    coded = int8x.quantize(graph, data=on_grid(SHAPE))
    assert [op.version for op in coded.main.operators] == [2, 3]  # 3: product of the input scales above the output's


def test_integer_operators_are_left_alone():
    net = Net()
    x, index = net.input(*SHAPE), net.input(1, name="index")
    index.dtype = "INT32"
    doubled = net.add("ADD", [index, index], 1, dtype="INT32", options="AddOptions")
    picked = net.add("GATHER", [x, doubled], 1, 6, 6, 1, options="GatherOptions", axis=3)
    graph = net.done(picked)
    data = {"x": on_grid(SHAPE), "index": np.zeros((8, 1), np.int32)}
    coded = int8x.quantize(graph, data=data)
    assert [(op.kind, op.version) for op in coded.main.operators] == [("ADD", 1), ("GATHER", 2)]
    assert coded.main.inputs[1].dtype == "INT32"
    assert make("AddOptions").fusedActivationFunction == 0
