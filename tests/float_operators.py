"""Every operator alone, as a float model with data that lie on its grids; and how models are run to
compare them.
"""

import numpy as np
from float_nets import RELU, RELU6, Net, on_grid
from int8x import _native
from int8x.quantization.passes import prepare
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph

SHAPE = (1, 6, 6, 4)
AXES = np.array([1, 2], np.int32)


def unary(kind: str, **fields):
    return lambda net, x: net.add(kind, [x], *x.shape, **fields)


def mean(net, x):
    return net.add("MEAN", [x, net.constant(AXES)], 1, 4, options="ReducerOptions", keepDims=False)


def pad(net, x):
    return net.add(
        "PAD",
        [x, net.constant(np.array([[0, 0], [1, 2], [2, 1], [0, 0]], np.int32))],
        1,
        9,
        9,
        4,
        options="PadOptions",
    )


def resize(kind, options, **fields):
    return lambda net, x: net.add(
        kind, [x, net.constant(np.array([12, 9], np.int32))], 1, 12, 9, 4, options=options, **fields
    )


def transpose_conv(net, x):
    shape, weights = (
        net.constant(np.array([1, 12, 12, 3], np.int32)),
        net.constant(net.weights(3, 2, 2, 4)),
    )
    return net.add(
        "TRANSPOSE_CONV",
        [shape, weights, x, *net.bias(3, True)],
        1,
        12,
        12,
        3,
        options="TransposeConvOptions",
        padding=1,
        strideH=2,
        strideW=2,
    )


def split(net, x):
    axis, halves = (
        net.constant(np.array(3, np.int32)),
        [net.main.add_tensor(f"half{i}", (1, 6, 6, 2)) for i in (0, 1)],
    )
    net.main.add_operator("SPLIT", [axis, x], halves, options="SplitOptions", numSplits=2)
    return halves[1]


def strided_slice(net, x):
    bounds = [
        net.constant(np.array(v, np.int32)) for v in ([0, 1, 0, 0], [1, 6, 6, 4], [1, 2, 3, 1])
    ]
    return net.add("STRIDED_SLICE", [x, *bounds], 1, 3, 2, 4, options="StridedSliceOptions")


# name: (builder, steps of the output, versions of the result's operators)
CASES = {
    "CONV_2D": (lambda net, x: net.conv(x, 5), 1, 3),
    "CONV_2D relu": (lambda net, x: net.conv(x, 5, activation=RELU), 1, 3),
    "CONV_2D relu6 stride 2 no bias": (
        lambda net, x: net.conv(x, 3, stride=2, activation=RELU6, bias=False),
        1,
        3,
    ),
    "CONV_2D 1x1": (lambda net, x: net.conv(x, 9, size=1), 1, 3),
    "DEPTHWISE_CONV_2D": (lambda net, x: net.depthwise(x), 1, 3),
    "DEPTHWISE_CONV_2D no bias": (lambda net, x: net.depthwise(x, bias=False), 1, 3),
    "FULLY_CONNECTED": (lambda net, x: net.dense(net.reshape(x, 1, 144), 7), 1, 4),
    "FULLY_CONNECTED no bias": (
        lambda net, x: net.dense(net.reshape(x, 1, 144), 7, bias=False),
        1,
        4,
    ),
    "TRANSPOSE_CONV": (transpose_conv, 1, 3),
    "ADD": (lambda net, x: net.binary("ADD", x, x), 1, 2),
    "ADD constant": (
        lambda net, x: net.binary("ADD", x, net.constant(np.float32([0.5, -1, 2, 0]))),
        1.5,
        2,
    ),
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
    "HARD_SWISH": (
        unary("HARD_SWISH", options="HardSwishOptions"),
        2,
        1,
    ),  # 16-bit inside, truncating
    "GELU": (unary("GELU", options="GeluOptions", approximate=False), 1, 2),
    "EXP": (
        lambda net, x: net.add("EXP", [net.add("TANH", [x], *x.shape)], *x.shape),
        3,
        2,
    ),  # e^1 times a step of TANH
    "ABS": (unary("ABS"), 1, 2),
    "L2_NORMALIZATION": (unary("L2_NORMALIZATION", options="L2NormOptions"), 1, 2),
    "LOG_SOFTMAX": (unary("LOG_SOFTMAX", options="LogSoftmaxOptions"), 1, 2),
    "PRELU": (
        lambda net, x: net.add(
            "PRELU", [x, net.constant(np.full((1, 1, 4), 0.5, np.float32))], *x.shape
        ),
        1,
        1,
    ),
    "CONCATENATION": (lambda net, x: net.concat([x, x]), 0, 2),
    "CONCATENATION constant": (
        lambda net, x: net.concat([x, net.constant(np.ones(SHAPE, np.float32))]),
        0.5,
        2,
    ),
    "MAXIMUM": (
        lambda net, x: net.add(
            "MAXIMUM",
            [x, net.constant(np.zeros(1, np.float32))],
            *x.shape,
            options="MaximumMinimumOptions",
        ),
        0.5,
        2,
    ),
    "REDUCE_MAX": (
        lambda net, x: net.add(
            "REDUCE_MAX", [x, net.constant(AXES)], 1, 4, options="ReducerOptions"
        ),
        0,
        2,
    ),
    "TRANSPOSE": (
        lambda net, x: net.add(
            "TRANSPOSE", [x, net.constant(np.array([0, 3, 1, 2], np.int32))], 1, 4, 6, 6
        ),
        0,
        2,
    ),
    "SPLIT": (split, 0, 2),
    "STRIDED_SLICE": (strided_slice, 0, 2),
    "SPACE_TO_DEPTH": (
        lambda net, x: net.add(
            "SPACE_TO_DEPTH", [x], 1, 3, 3, 16, options="SpaceToDepthOptions", blockSize=2
        ),
        0,
        2,
    ),
    "RESIZE_NEAREST_NEIGHBOR": (
        resize("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"),
        0,
        2,
    ),
    "RESIZE_BILINEAR": (
        resize("RESIZE_BILINEAR", "ResizeBilinearOptions", halfPixelCenters=True),
        1.5,
        3,
    ),  # coordinates in 1/1024
    "RESIZE_BILINEAR corners": (
        resize("RESIZE_BILINEAR", "ResizeBilinearOptions", alignCorners=True),
        1.5,
        2,
    ),
}


def ints(values) -> np.ndarray:
    return np.array(values, np.int32)


def shaped(kind: str, shape: tuple[int, ...], options: str | None, *constants, **fields):
    """An operator over x and integer constants."""
    return lambda net, x: net.add(
        kind, [x, *(net.constant(ints(c)) for c in constants)], *shape, options=options, **fields
    )


def pieces(kind: str, count: int, shape: tuple[int, ...], options: str, *constants, **fields):
    """An operator that cuts x into equal pieces; the last one is the result."""

    def made(net, x):
        outputs = [net.main.add_tensor(f"piece{i}", shape) for i in range(count)]
        inputs = [x, *(net.constant(ints(c)) for c in constants)]
        net.main.add_operator(kind, inputs, outputs, options=options, **fields)
        return outputs[-1]

    return made


def matmul(shape: tuple[int, ...], adjoint: bool = False):
    def made(net, x):
        rhs = net.constant(net.random.normal(0, 1, shape).astype(np.float32))
        return net.add(
            "BATCH_MATMUL", [x, rhs], 1, 6, 6, 5, options="BatchMatMulOptions", adjY=adjoint
        )

    return made


def matmul_of_two(net, x):
    turned = net.add("TRANSPOSE", [x, net.constant(ints([0, 1, 3, 2]))], 1, 6, 4, 6)
    return net.add("BATCH_MATMUL", [x, turned], 1, 6, 6, 6, options="BatchMatMulOptions")


def padv2(net, x):
    edges, value = ints([[0, 0], [1, 2], [2, 1], [0, 0]]), net.constant(np.float32([-1.5]))
    return net.add("PADV2", [x, net.constant(edges), value], 1, 9, 9, 4, options="PadV2Options")


def conv(channels: int, depth: int, dilation: int = 1):
    """A convolution with filters of `depth` input channels, so grouped when x has more."""

    def made(net, x):
        kernel = net.constant(net.weights(channels, 3, 3, depth), "kernel")
        return net.add(
            "CONV_2D",
            [x, kernel, *net.bias(channels, True)],
            1,
            6,
            6,
            channels,
            options="Conv2DOptions",
            padding=0,
            strideH=1,
            strideW=1,
            dilationHFactor=dilation,
            dilationWFactor=dilation,
        )

    return made


def multiplied_depthwise(net, x):
    kernel = net.constant(net.weights(1, 3, 3, 8, axis=3), "kernel")
    return net.add(
        "DEPTHWISE_CONV_2D",
        [x, kernel, *net.bias(8, True)],
        1,
        6,
        6,
        8,
        options="DepthwiseConv2DOptions",
        padding=0,
        strideH=1,
        strideW=1,
        depthMultiplier=2,
        dilationHFactor=2,
        dilationWFactor=2,
    )


def dense_of_rows(net, x):
    result = net.dense(x, 7)
    net.main.operators[-1].options.keepNumDims = True
    return result


# Operators and forms that only the tests of precisions use.
MORE = {
    "CONV_2D grouped": conv(8, 2),
    "CONV_2D dilated": conv(5, 4, 2),
    "CONV_2D odd sizes": lambda net, x: net.conv(net.conv(x, 3, size=1), 5),
    "DEPTHWISE_CONV_2D multiplied, dilated": multiplied_depthwise,
    "FULLY_CONNECTED of rows": lambda net, x: net.dense(net.reshape(x, 36, 4), 7),
    "FULLY_CONNECTED keeps dimensions": dense_of_rows,
    "BATCH_MATMUL": matmul_of_two,
    "BATCH_MATMUL constant": matmul((1, 6, 4, 5)),
    "BATCH_MATMUL constant adjoint": matmul((1, 6, 5, 4), adjoint=True),
    "BATCH_MATMUL constant matrix": matmul((4, 5)),
    "MINIMUM": lambda net, x: net.add(
        "MINIMUM",
        [x, net.constant(np.float32([0.5]))],
        *x.shape,
        options="MaximumMinimumOptions",
    ),
    "REDUCE_MIN": shaped("REDUCE_MIN", (1, 4), "ReducerOptions", [1, 2]),
    "PADV2": padv2,
    "MIRROR_PAD": shaped(
        "MIRROR_PAD", (1, 8, 8, 4), "MirrorPadOptions", [[0, 0], [1, 1], [1, 1], [0, 0]], mode=0
    ),
    "GATHER": shaped("GATHER", (1, 2, 6, 4), "GatherOptions", [1, 3], axis=1),
    "GATHER_ND": shaped("GATHER_ND", (2, 6, 4), "GatherNdOptions", [[0, 1], [0, 3]]),
    "SLICE": shaped("SLICE", (1, 2, 3, 4), "SliceOptions", [0, 1, 1, 0], [1, 2, 3, 4]),
    "SPLIT_V": pieces("SPLIT_V", 2, (1, 6, 6, 2), "SplitVOptions", [2, 2], 3, numSplits=2),
    "UNPACK": pieces("UNPACK", 6, (1, 6, 4), "UnpackOptions", num=6, axis=1),
    "SQUEEZE": shaped("SQUEEZE", (6, 6, 4), "SqueezeOptions", squeezeDims=[0]),
    "EXPAND_DIMS": shaped("EXPAND_DIMS", (1, 1, 6, 6, 4), "ExpandDimsOptions", [0]),
    "PACK": lambda net, x: net.add(
        "PACK", [x, x], 2, 1, 6, 6, 4, options="PackOptions", valuesCount=2, axis=0
    ),
    "SPACE_TO_BATCH_ND": shaped(
        "SPACE_TO_BATCH_ND",
        (4, 3, 3, 4),
        "SpaceToBatchNDOptions",
        [2, 2],
        [[0, 0], [0, 0]],
    ),
    "BATCH_TO_SPACE_ND": shaped(
        "BATCH_TO_SPACE_ND",
        (1, 6, 6, 4),
        "BatchToSpaceNDOptions",
        [1, 1],
        [[0, 0], [0, 0]],
    ),
    "REVERSE_V2": shaped("REVERSE_V2", (1, 6, 6, 4), "ReverseV2Options", [1]),
    "SELECT": lambda net, x: net.add(
        "SELECT",
        [
            net.constant(np.arange(144).reshape(SHAPE) % 3 == 0),
            x,
            net.constant(np.zeros(SHAPE, "f")),
        ],
        *x.shape,
        options="SelectOptions",
    ),
    "SELECT_V2": lambda net, x: net.add(
        "SELECT_V2",
        [net.constant(np.arange(4) % 2 == 0), x, net.constant(np.zeros(SHAPE, "f"))],
        *x.shape,
        options="SelectV2Options",
    ),
    "DYNAMIC_UPDATE_SLICE": lambda net, x: net.add(
        "DYNAMIC_UPDATE_SLICE",
        [x, net.constant(np.ones((1, 2, 2, 4), "f")), net.constant(ints([0, 1, 1, 0]))],
        *x.shape,
    ),
    "SQUARED_DIFFERENCE": lambda net, x: net.add(
        "SQUARED_DIFFERENCE",
        [x, net.constant(np.float32([0.5]))],
        *x.shape,
        options="SquaredDifferenceOptions",
    ),
}


def build(name: str) -> tuple[Graph, np.ndarray]:
    """The prepared float model of CASES or MORE, and samples that lie on an int8 grid."""
    net = Net(len(name))
    x = net.input(*SHAPE)
    graph = net.done((CASES[name][0] if name in CASES else MORE[name])(net, x))
    return prepare(Graph.from_bytes(graph.to_bytes())), on_grid(SHAPE)


def outputs(graph: Graph, samples: np.ndarray, resolver: str) -> np.ndarray:
    """Real values of the first output, sample by sample."""
    runner, (source,), (result,) = (
        Runner(graph.to_bytes(), "model", 1, resolver),
        graph.main.inputs,
        graph.main.outputs,
    )
    index, results = graph.main.tensors.index(result), []
    for sample in samples:
        fed = sample[None]
        if source.quant is not None:
            kind = {"UINT8": np.uint8, "INT8": np.int8, "INT16": np.int16}[source.dtype]
            low, high = np.iinfo(kind).min, np.iinfo(kind).max
            fed = _native.quantize(fed, source.quant.scale, source.quant.zero_point, low, high)
            fed = fed.astype(kind)
        runner.run([fed])
        value = np.array(runner.value(index))
        if result.quant is not None:
            value = (value.astype(np.float64) - result.quant.zero_point) * result.quant.scale
        results.append(value)
    return np.stack(results)
