"""Small random int8 graphs: chains, residuals and concatenations of every claimed operator, some
with one in between that the delegate does not take.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from cases_weights import output_extent
from draws import Draw
from operator_case import Case
from operator_models import ACTIVATIONS, PADDINGS, ModelBuilder

UNCLAIMED = "SPACE_TO_BATCH_ND"


@dataclass(frozen=True)
class Value:
    """An NHWC int8 tensor of the graph being written."""

    index: int
    shape: tuple[int, ...]
    scale: np.float32
    zero_point: int


@dataclass
class Graph:
    draw: Draw
    model: ModelBuilder = field(default_factory=ModelBuilder)
    values: list[Value] = field(default_factory=list)
    operators: list[str] = field(default_factory=list)

    def value(self, shape: tuple[int, ...], scale: float, zero_point: int | None = None) -> Value:
        zero_point = self.draw.size(-30, 30) if zero_point is None else zero_point
        index = self.model.tensor(shape, scale=np.float32(scale), zero_point=zero_point)
        return Value(index, tuple(shape), np.float32(scale), zero_point)

    def add(self, name: str, inputs: list[int], output: Value, **options) -> Value:
        self.model.operator(name, inputs, [output.index], **options)
        self.operators.append(name)
        self.values.append(output)
        return output

    def activation(self) -> int:
        return ACTIVATIONS[self.draw.pick("NONE", "NONE", "RELU", "RELU6")]


def convolution(graph: Graph, x: Value) -> Value:
    draw, depthwise = graph.draw, graph.draw.chance(0.4)
    channels = x.shape[3] if depthwise else draw.pick(3, 8, 16, 17, 32)
    kernel, stride = draw.pick(1, 3, 3), draw.pick(1, 1, 2)
    padding = PADDINGS[draw.pick("SAME", "VALID") if min(x.shape[1:3]) >= kernel else "SAME"]
    filter_shape = (
        (1, kernel, kernel, channels) if depthwise else (channels, kernel, kernel, x.shape[3])
    )
    taps = kernel * kernel * (1 if depthwise else x.shape[3])
    scales = (0.01 * np.exp(draw.rng.uniform(-1, 0, channels))).astype(np.float32)
    w = graph.model.constant(
        draw.values(filter_shape, low=-127), np.int8, scale=scales, axis=3 if depthwise else 0
    )
    b = graph.model.constant(
        draw.rng.integers(-3000, 3000, channels), np.int32, scale=x.scale * scales
    )
    shape = (
        x.shape[0],
        *(output_extent(n, kernel, stride, 1, padding) for n in x.shape[1:3]),
        channels,
    )
    y = graph.value(
        shape, x.scale * 0.01 * 128 * np.sqrt(taps) * np.exp(draw.rng.uniform(-0.5, 0.5))
    )
    options = dict(
        strideH=stride,
        strideW=stride,
        padding=padding,
        fusedActivationFunction=graph.activation(),
    )
    options |= dict(dilationHFactor=1, dilationWFactor=1) | (
        dict(depthMultiplier=1) if depthwise else {}
    )
    return graph.add("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x.index, w, b], y, **options)


def transposed_convolution(graph: Graph, x: Value) -> Value:
    draw = graph.draw
    channels, kernel = draw.pick(3, 8, 16, 17), draw.pick(1, 2, 3)
    stride = draw.pick(1, 2) if max(x.shape[1:3]) <= 12 else 1
    padding = draw.pick("SAME", "VALID")
    spread = max(kernel - stride, 0) if padding == "VALID" else 0
    shape = (x.shape[0], *(n * stride + spread for n in x.shape[1:3]), channels)
    scales = (0.01 * np.exp(draw.rng.uniform(-1, 0, channels))).astype(np.float32)
    w = draw.values((channels, kernel, kernel, x.shape[3]), low=-127)
    b = draw.rng.integers(-3000, 3000, channels)
    inputs = [
        graph.model.constant(shape),
        graph.model.constant(w, np.int8, scale=scales),
        x.index,
        graph.model.constant(b, np.int32, scale=x.scale * scales),
    ]
    y = graph.value(shape, x.scale * 0.01 * 128 * np.sqrt(kernel * kernel * x.shape[3]))
    return graph.add(
        "TRANSPOSE_CONV",
        inputs,
        y,
        version=3,
        padding=PADDINGS[padding],
        strideH=stride,
        strideW=stride,
        fusedActivationFunction=graph.activation(),
    )


def residual(graph: Graph, x: Value) -> Value:
    """ADD or MUL with any earlier value of the same shape, x itself included."""
    other = graph.draw.pick(*(v for v in graph.values if v.shape == x.shape))
    activation = dict(fusedActivationFunction=graph.activation())
    if graph.draw.chance(0.3):
        y = graph.value(x.shape, min(float(x.scale) * float(other.scale) * 100, 1e3))
        return graph.add("MUL", [x.index, other.index], y, **activation)
    return graph.add(
        graph.draw.pick("ADD", "ADD", "SUB"),
        [x.index, other.index],
        graph.value(x.shape, max(x.scale, other.scale) * 1.5),
        **activation,
    )


def concatenation(graph: Graph, x: Value) -> Value:
    """Both inputs are requantized by QUANTIZE to what CONCATENATION demands."""
    other = graph.draw.pick(*(v for v in graph.values if v.shape[:3] == x.shape[:3]))
    scale, zero_point = x.scale * 1.25, graph.draw.size(-20, 20)
    parts = [
        graph.add("QUANTIZE", [v.index], graph.value(v.shape, scale, zero_point))
        for v in (x, other)
    ]
    shape = (*x.shape[:3], x.shape[3] + other.shape[3])
    return graph.add(
        "CONCATENATION", [p.index for p in parts], graph.value(shape, scale, zero_point), axis=3
    )


def pool(graph: Graph, x: Value) -> Value:
    stride = graph.draw.pick(1, 2)
    shape = (
        x.shape[0],
        *(output_extent(n, 2, stride, 1, PADDINGS["SAME"]) for n in x.shape[1:3]),
        x.shape[3],
    )
    options = dict(
        strideH=stride, strideW=stride, filterHeight=2, filterWidth=2, padding=PADDINGS["SAME"]
    )
    y = graph.value(shape, x.scale, x.zero_point)
    return graph.add(graph.draw.pick("AVERAGE_POOL_2D", "MAX_POOL_2D"), [x.index], y, **options)


def pad(graph: Graph, x: Value) -> Value:
    sides = [graph.draw.pick(0, 0, 1, 1, 2, 3) for _ in range(4)]
    amounts = [[0, 0], sides[:2], sides[2:], [0, 0]]
    shape = tuple(n + sum(amount) for n, amount in zip(x.shape, amounts, strict=True))
    return graph.add(
        "PAD", [x.index, graph.model.constant(amounts)], graph.value(shape, x.scale, x.zero_point)
    )


def padded_convolution(graph: Graph, x: Value) -> Value:
    """A PAD that can move into what reads it."""
    return graph.draw.pick(convolution, convolution, transposed_convolution)(graph, pad(graph, x))


def rectify(graph: Graph, x: Value) -> Value:
    operator = graph.draw.pick("RELU", "RELU6", "RELU_N1_TO_1", "HARD_SWISH", "LEAKY_RELU", "GELU")
    options = dict(LEAKY_RELU=dict(alpha=0.2), GELU=dict(approximate=False)).get(operator, {})
    return graph.add(operator, [x.index], graph.value(x.shape, x.scale, x.zero_point), **options)


def squash(graph: Graph, x: Value) -> Value:
    if graph.draw.chance(0.5):
        return graph.add("TANH", [x.index], graph.value(x.shape, 1 / 128, 0))
    return graph.add("LOGISTIC", [x.index], graph.value(x.shape, 1 / 256, -128))


def unclaimed(graph: Graph, x: Value) -> Value:
    """Blocks of one pixel, no padding: every runtime has it, and it changes nothing."""
    block, paddings = graph.model.constant([1, 1]), graph.model.constant([[0, 0], [0, 0]])
    same = graph.value(x.shape, x.scale, x.zero_point)
    return graph.add(UNCLAIMED, [x.index, block, paddings], same)


BODY: tuple[Callable[[Graph, Value], Value], ...] = (
    convolution,
    convolution,
    convolution,
    residual,
    residual,
    concatenation,
    pool,
    pad,
    padded_convolution,
    transposed_convolution,
    rectify,
    squash,
    unclaimed,
)
ANY_BATCH = tuple(make for make in BODY if make not in (transposed_convolution, padded_convolution))


def head(graph: Graph, x: Value) -> Value:
    """MEAN or RESHAPE, FULLY_CONNECTED, and in half of the graphs SOFTMAX."""
    draw = graph.draw
    if draw.chance(0.5):
        flat = graph.value((x.shape[0], x.shape[3]), x.scale * 0.7)
        graph.add("MEAN", [x.index, graph.model.constant([1, 2])], flat, keepDims=False)
    else:
        flat = graph.value((x.shape[0], int(np.prod(x.shape[1:]))), x.scale, x.zero_point)
        graph.add(
            "RESHAPE",
            [x.index, graph.model.constant([-1, flat.shape[1]])],
            flat,
            newShape=[-1, flat.shape[1]],
        )
    channels = draw.pick(2, 10, 33)
    w = graph.model.constant(
        draw.values((channels, flat.shape[1]), low=-127), np.int8, scale=np.float32(0.01)
    )
    b = graph.model.constant(
        draw.rng.integers(-999, 999, channels), np.int32, scale=flat.scale * np.float32(0.01)
    )
    y = graph.value((x.shape[0], channels), flat.scale * 0.01 * 128 * np.sqrt(flat.shape[1]))
    graph.add("FULLY_CONNECTED", [flat.index, w, b], y, fusedActivationFunction=0)
    if draw.chance(0.5):
        y = graph.add("SOFTMAX", [y.index], graph.value(y.shape, 1 / 256, -128), beta=1.0)
    return y


def random_graph(seed: int, any_batch: bool = False) -> tuple[Case, list[str]]:
    """The case, and the names of its operators in order. Inputs and outputs are float32 in some of
    the graphs. any_batch: no operator has its batch size in a constant.
    """
    draw = Draw(seed)
    graph = Graph(draw)
    shape = (1, draw.size(4, 9), draw.size(4, 9), draw.pick(3, 8, 16))
    from_float = draw.chance(0.3)
    if from_float:
        source = graph.model.input(shape, np.float32)
        x = graph.add("QUANTIZE", [source], graph.value(shape, 0.02), version=1)
        feeds = tuple((draw.rng.normal(0, 1, shape).astype(np.float32),) for _ in range(2))
    else:
        index = graph.model.input(shape, scale=np.float32(0.02), zero_point=3)
        x = Value(index, shape, np.float32(0.02), 3)
        graph.values.append(x)
        feeds = tuple((draw.values(shape),) for _ in range(2))
    body = BODY if not any_batch else ANY_BATCH
    for _ in range(draw.size(2, 12)):
        x = draw.pick(*body)(graph, x)
    outputs = [draw.pick(*graph.values[1:]).index] if draw.chance(0.3) else []
    if draw.chance(0.6):
        x = head(graph, x)
    if draw.chance(0.3):
        last = graph.model.tensor(x.shape, np.float32)
        graph.model.operator("DEQUANTIZE", [x.index], [last])
        graph.operators.append("DEQUANTIZE")
    else:
        last = x.index
    content = graph.model.finish(list(dict.fromkeys([*outputs, last])))
    return Case(
        "graph", f"graph seed {draw.seed}: {' '.join(graph.operators)}", content, feeds
    ), graph.operators
