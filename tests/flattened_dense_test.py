"""A dense layer that a computed RESHAPE flattens becomes one FULLY_CONNECTED, at any batch."""

import int8x
import numpy as np
import pytest
from float_nets import RELU, Net
from int8x.quantization.passes import prepare
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph
from int8x.tflite.subgraph import Tensor

ROWS, WIDTH, UNITS = 5, 8, 6
INT32 = 2  # TensorType


def anything(tensor: Tensor, *signature: int) -> Tensor:
    """The batch is not known."""
    tensor.signature = signature
    return tensor


def computed(net: Net, kind: str, inputs: list, *shape: int, **fields) -> Tensor:
    return net.add(kind, inputs, *shape, dtype="INT32", **fields)


def sizes(net: Net, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """SHAPE(x)[:-1]; its product; [product, last]."""
    rank, axis = len(x.shape), net.constant(np.int32([0]))
    shape = computed(net, "SHAPE", [x], rank, options="ShapeOptions", outType=INT32)
    parts = [
        computed(net, "GATHER", [shape, net.constant(np.int32(i))], len(i), options="GatherOptions")
        for i in (range(rank - 1), [rank - 1])
    ]
    products = [
        computed(net, "REDUCE_PROD", [part, axis], options="ReducerOptions") for part in parts
    ]
    packed = computed(net, "PACK", products, 2, options="PackOptions", valuesCount=2)
    return parts[0], products[0], packed


def reshaped(net: Net, x: Tensor, shape: Tensor, *sizes: int) -> Tensor:
    known = [max(size, 1) for size in sizes]
    made = net.add("RESHAPE", [x, shape], *known, options="ReshapeOptions")
    return anything(made, *sizes)


def multiplied(net: Net, rows: Tensor, activation: int = 0) -> Tensor:
    inputs = [rows, net.constant(net.weights(UNITS, WIDTH)), *net.bias(UNITS, True)]
    fields = {"options": "FullyConnectedOptions", "fusedActivationFunction": activation}
    return anything(net.add("FULLY_CONNECTED", inputs, 1, UNITS, **fields), -1, UNITS)


def dense_on_rows() -> Graph:
    """As Keras 3 writes Dense on (batch, ROWS, WIDTH)."""
    net = Net()
    x = anything(net.input(1, ROWS, WIDTH), -1, ROWS, WIDTH)
    return net.done(layer(net, x, x))


def layer(net: Net, x: Tensor, measured: Tensor) -> Tensor:
    leading, _, packed = sizes(net, measured)
    rows = multiplied(net, reshaped(net, x, packed, -1, -1), RELU)
    last = net.constant(np.int32([UNITS]))
    shape = computed(
        net, "CONCATENATION", [leading, last], 3, options="ConcatenationOptions", axis=0
    )
    return reshaped(net, rows, shape, -1, ROWS, UNITS)


def behind_heads() -> Graph:
    """As Keras 3 writes Dense on the joined heads of attention: RESHAPE to (batch, ROWS, WIDTH) is
    measured, what it reshapes is flattened.
    """
    net = Net()
    x = anything(net.input(1, 2, ROWS, WIDTH // 2), -1, 2, ROWS, WIDTH // 2)
    order = net.constant(np.int32([0, 2, 1, 3]))
    heads = net.add("TRANSPOSE", [x, order], 1, ROWS, 2, WIDTH // 2, options="TransposeOptions")
    anything(heads, -1, ROWS, 2, WIDTH // 2)
    joined = reshaped(net, heads, net.constant(np.int32([-1, ROWS, WIDTH])), -1, ROWS, WIDTH)
    return net.done(layer(net, heads, joined))


def to_heads() -> Graph:
    """The result is split at once: its RESHAPE has a constant shape."""
    net = Net()
    x = anything(net.input(1, ROWS, WIDTH), -1, ROWS, WIDTH)
    _, _, packed = sizes(net, x)
    rows = multiplied(net, reshaped(net, x, packed, -1, -1))
    shape = net.constant(np.int32([-1, ROWS, 2, UNITS // 2]))
    return net.done(reshaped(net, rows, shape, -1, ROWS, 2, UNITS // 2))


GRAPHS = [dense_on_rows, behind_heads, to_heads]


def run(graph: Graph, batch: int, seed: int = 0) -> np.ndarray:
    shape = (batch, *graph.main.inputs[0].shape[1:])
    runner = Runner(graph.to_bytes(), graph.origin)
    runner.run([np.random.default_rng(seed).normal(size=shape).astype(np.float32)])
    return runner.output(0)


@pytest.mark.parametrize("recipe", ["int8", "int16x8"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("make", GRAPHS)
def test_the_layer_computes_what_it_did(make, batch, recipe):
    np.testing.assert_array_equal(run(make(), batch), run(prepare(make(), recipe), batch))


@pytest.mark.parametrize("make", GRAPHS)
def test_at_16x8_the_version_is_one_that_old_runtimes_get_right(make):
    data = np.random.default_rng(0).normal(size=(16, *make().main.inputs[0].shape[1:]))
    coded = int8x.quantize(make(), data=data.astype(np.float32), recipe="int16x8")
    (dense,) = (op for op in coded.main.operators if op.kind == "FULLY_CONNECTED")
    assert (dense.version, dense.options.keepNumDims) == (7, False)
    claims = int8x.Interpreter(coded.to_bytes()).claims
    assert (claims.claimed_ops, claims.partitions) == (1.0, 1)


def test_with_two_sizes_unknown_the_layer_keeps_them_itself():
    graph = dense_on_rows()
    for tensor in [*graph.main.inputs, *(t for op in graph.main.operators for t in op.outputs)]:
        if tensor.signature is not None and tensor.signature[1:2] == (ROWS,):
            tensor.signature = (-1, -1, *tensor.signature[2:])
    kinds = {}
    for recipe in ("int8", "int16x8"):
        prepared = prepare(graph.copy(), recipe)
        kinds[recipe] = [op.kind for op in prepared.main.operators]
        np.testing.assert_array_equal(run(graph.copy(), 2), run(prepared, 2))
    assert list(kinds.values()) == [["FULLY_CONNECTED"]] * 2


@pytest.mark.parametrize(
    ("make", "left"),
    [
        (dense_on_rows, ["FULLY_CONNECTED"]),
        (behind_heads, ["TRANSPOSE", "RESHAPE", "FULLY_CONNECTED"]),
        (to_heads, ["FULLY_CONNECTED", "RESHAPE"]),
    ],
)
def test_nothing_is_left_of_the_shapes_and_one_partition_takes_the_rest(make, left):
    data = np.random.default_rng(0).normal(size=(16, *make().main.inputs[0].shape[1:]))
    coded = int8x.quantize(make(), data=data.astype(np.float32))
    assert [op.kind for op in coded.main.operators] == left
    assert coded.main.outputs[0].signature == make().main.outputs[0].signature
    (dense,) = (op for op in coded.main.operators if op.kind == "FULLY_CONNECTED")
    assert dense.version == (5 if make is not to_heads else 4)
    claims = int8x.Interpreter(coded.to_bytes()).claims
    assert (claims.claimed_ops, claims.partitions) == (1.0, 1)


def test_a_layer_of_another_width_keeps_its_reshape():
    """Rows of WIDTH are made of values that lie in tens: no tensor of that order has such rows."""
    net = Net()
    x = anything(net.input(1, 4, 10), -1, 4, 10)
    shape = net.constant(np.int32([-1, WIDTH]))
    net.done(multiplied(net, reshaped(net, x, shape, -1, WIDTH)))
    assert [op.kind for op in prepare(net.graph).main.operators] == ["RESHAPE", "FULLY_CONNECTED"]


def test_rows_that_something_else_reads_are_still_made():
    net = Net()
    x = anything(net.input(1, ROWS, WIDTH), -1, ROWS, WIDTH)
    _, _, packed = sizes(net, x)
    rows = reshaped(net, x, packed, -1, -1)
    net.done(multiplied(net, rows), rows)
    before, after = run(net.graph.copy(), 2), run(prepare(net.graph.copy()), 2)
    np.testing.assert_array_equal(before, after)
    prepared = prepare(net.graph)
    assert prepared.main.operators[-1].inputs[0] is prepared.main.inputs[0]
    assert "RESHAPE" in [op.kind for op in prepared.main.operators]


def test_a_reshape_to_other_sizes_stays():
    """It is measured elsewhere: two values of each row change places in the shape."""
    net = Net()
    x = anything(net.input(1, ROWS, WIDTH), -1, ROWS, WIDTH)
    leading, _, packed = sizes(net, x)
    rows = multiplied(net, reshaped(net, x, packed, -1, -1))
    turned = computed(
        net, "GATHER", [leading, net.constant(np.int32([1, 0]))], 2, options="GatherOptions"
    )
    last = net.constant(np.int32([UNITS]))
    options = {"options": "ConcatenationOptions", "axis": 0}
    shape = computed(net, "CONCATENATION", [turned, last], 3, **options)
    net.done(reshaped(net, rows, shape, ROWS, -1, UNITS))
    before, after = run(net.graph.copy(), 3), run(prepare(net.graph.copy()), 3)
    assert before.shape == (ROWS, 3, UNITS)
    np.testing.assert_array_equal(before, after)
