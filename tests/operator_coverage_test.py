"""Operators beyond those of vision nets: int8 where TFLite has a sound kernel, another operator
where that computes the same, and float with the reason where neither is so.
"""

import int8x
import numpy as np
import pytest
from float_nets import Net, on_grid
from float_operators import SHAPE, outputs
from int8x.quantization.passes import prepare
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph

AXES = np.array([1, 2], np.int32)
PADS = np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)


def positive(net, x):
    """Something between 0 and about 6, on a grid of its own."""
    return net.add("RELU", [x], *x.shape)


def select(kind, options):
    def build(net, x):
        flags = net.constant(np.arange(144).reshape(SHAPE) % 3 == 0)
        return net.add(kind, [flags, x, net.add("ABS", [x], *x.shape)], *x.shape, options=options)

    return build


def compared(kind, options):
    def build(net, x):
        zero = net.constant(np.zeros(1, np.float32))
        flags = net.add(kind, [x, zero], *x.shape, dtype="BOOL", options=options)
        return net.add("SELECT_V2", [flags, x, zero], *x.shape, options="SelectV2Options")

    return build


def matmul(constant: bool, transposed: bool):
    def build(net, x):
        if constant:
            rhs = net.constant(net.weights(1, 6, 5, 4) if transposed else net.weights(1, 6, 4, 5))
            width = 5
        else:
            rhs, width = x, 6
        return net.add(
            "BATCH_MATMUL", [x, rhs], 1, 6, 6, width, options="BatchMatMulOptions", adjY=transposed
        )

    return build


def softplus(net, x):
    one = net.constant(np.ones(1, np.float32))
    total = net.add("ADD", [one, net.add("EXP", [x], *SHAPE)], *SHAPE, options="AddOptions")
    return net.add("LOG", [total], *SHAPE)


def mish(net, x):
    gate = net.add("TANH", [softplus(net, x)], *SHAPE)
    return net.add("MUL", [x, gate], *SHAPE, options="MulOptions")


def update(net, x):
    piece = net.add("SLICE", [x, net.constant(np.zeros(4, np.int32)),
                              net.constant(np.array([1, 2, 6, 4], np.int32))],
                    1, 2, 6, 4, options="SliceOptions")  # fmt: skip
    start = net.constant(np.array([0, 3, 0, 0], np.int32))
    return net.add(
        "DYNAMIC_UPDATE_SLICE", [x, piece, start], *x.shape, options="DynamicUpdateSliceOptions"
    )


def with_constants(kind, options, shape, *constants, before=False, **fields):
    def build(net, x):
        given = [net.constant(c) for c in constants]
        inputs = [*given, x] if before else [x, *given]
        return net.add(kind, inputs, *shape, options=options, **fields)

    return build


def unary(kind, options=None, of=lambda net, x: x, **fields):
    return lambda net, x: net.add(kind, [of(net, x)], *x.shape, options=options, **fields)


# name: (builder, steps of the output that the result may be off by)
INT8 = {
    "BATCH_MATMUL constant": (matmul(True, False), 1.5),
    "BATCH_MATMUL constant adj_y": (matmul(True, True), 1.5),
    "BATCH_MATMUL dynamic": (matmul(False, True), 1),
    "RSQRT": (
        unary(
            "RSQRT",
            of=lambda net, x: net.binary("ADD", positive(net, x), net.constant(np.float32([1]))),
        ),
        2,
    ),
    "SQRT": (unary("SQRT", of=positive), 2),
    "LOG": (
        unary(
            "LOG",
            of=lambda net, x: net.binary("ADD", positive(net, x), net.constant(np.float32([1]))),
        ),
        3,
    ),
    "RELU_0_TO_1": (unary("RELU_0_TO_1"), 1),
    "SELECT": (select("SELECT", "SelectOptions"), 1),
    "SELECT_V2": (select("SELECT_V2", "SelectV2Options"), 1),
    "REVERSE_V2": (
        with_constants("REVERSE_V2", "ReverseV2Options", SHAPE, np.array([1], np.int32)),
        0,
    ),
    "DYNAMIC_UPDATE_SLICE": (update, 0),
    "DEPTH_TO_SPACE": (
        with_constants("DEPTH_TO_SPACE", "DepthToSpaceOptions", (1, 12, 12, 1), blockSize=2),
        0,
    ),
    "MIRROR_PAD": (with_constants("MIRROR_PAD", "MirrorPadOptions", (1, 8, 8, 4), PADS), 0),
    "TILE": (with_constants("TILE", None, (1, 12, 6, 4), np.array([1, 2, 1, 1], np.int32)), 0),
    "GATHER": (
        with_constants("GATHER", "GatherOptions", (1, 2, 6, 4), np.array([4, 1], np.int32), axis=1),
        0,
    ),
    "SUM": (with_constants("SUM", "ReducerOptions", (1, 4), AXES), 2),
    "SUM kept": (with_constants("SUM", "ReducerOptions", (1, 1, 1, 4), AXES - 4, keepDims=True), 2),
    "NEG": (unary("NEG", "NegOptions"), 1),
    "SQUARE": (unary("SQUARE", "SquareOptions"), 1),
    "POW 2": (with_constants("POW", "PowOptions", SHAPE, np.array(2, np.float32)), 1),
    "DIV": (with_constants("DIV", "DivOptions", SHAPE, np.float32([3, -2, 0.5, 7])), 1.5),
    "softplus": (softplus, 2),
    "mish": (mish, 3),
}


def float_graph(builder) -> Graph:
    net = Net(3)
    return Graph.from_bytes(net.done(builder(net, net.input(*SHAPE))).to_bytes())


@pytest.mark.parametrize("name", INT8)
def test_the_int8_operator_is_within_its_bound_of_the_float_one(name):
    builder, steps = INT8[name]
    graph, samples = float_graph(builder), on_grid(SHAPE)
    coded = int8x.quantize(graph, data=samples, recipe="minmax")  # nothing is clipped
    assert not [t for t in coded.main.tensors if t.is_float]
    expected, got = outputs(graph, samples, "BUILTIN_REF"), outputs(coded, samples, "BUILTIN_REF")
    grid = coded.main.outputs[0].quant
    # What is rounded before the operator is rounded moves its result: at most by as much again.
    assert np.abs(got - expected).max() <= (steps + 0.01) * grid.scale
    outputs(coded, samples[:1], "AUTO")


def test_elu_is_int8_where_the_default_kernels_run_it():
    graph, samples = float_graph(unary("ELU")), on_grid(SHAPE)
    coded = int8x.quantize(graph, data=samples)
    expected, got = outputs(graph, samples, "AUTO"), outputs(coded, samples, "AUTO")
    assert np.abs(got - expected).max() <= 1.01 * coded.main.outputs[0].quant.scale


@pytest.mark.parametrize("name", ["SUM", "SUM kept", "NEG", "SQUARE", "POW 2", "DIV"])
def test_an_operator_is_replaced_by_one_that_computes_the_same(name):
    graph, samples = float_graph(INT8[name][0]), on_grid(SHAPE)
    before = outputs(graph, samples, "BUILTIN_REF")
    kinds = [op.kind for op in prepare(graph).main.operators]
    assert kinds in (["MUL"], ["MEAN", "MUL"])
    after = outputs(graph, samples, "BUILTIN_REF")
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)


def test_softplus_overflows_nowhere_and_is_left_alone_where_it_is_another():
    graph = float_graph(softplus)
    before = outputs(graph, on_grid(SHAPE), "BUILTIN_REF")
    kinds = [op.kind for op in prepare(graph).main.operators]
    assert set(kinds) == {"RELU", "ABS", "LOGISTIC", "LOG", "SUB"} and len(kinds) == 5
    after = outputs(graph, on_grid(SHAPE), "BUILTIN_REF")
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)
    large = [np.full(SHAPE, value, np.float32) for value in (-1000.0, 100.0, 3e38)]
    values = outputs(graph, large, "BUILTIN_REF").reshape(3, -1)
    np.testing.assert_allclose(values.max(1), [0, 100, 3e38], rtol=1e-6)
    other = float_graph(softplus)
    (one,) = (t for t in other.main.tensors if t.is_constant)
    one.data = np.float32([2])
    assert [op.kind for op in prepare(other).main.operators] == ["EXP", "ADD", "LOG"]


def test_powers_of_a_half_become_roots():
    for exponent, kind in ((0.5, "SQRT"), (-0.5, "RSQRT"), (3, "POW")):
        graph = float_graph(
            with_constants("POW", "PowOptions", SHAPE, np.array(exponent, np.float32))
        )
        assert [op.kind for op in prepare(graph).main.operators] == [kind]


def test_a_sum_over_a_length_that_is_free_stays_a_sum():
    graph = float_graph(INT8["SUM"][0])
    graph.main.inputs[0].signature = (1, -1, 6, 4)
    assert [op.kind for op in prepare(graph).main.operators] == ["SUM"]


def indexed(kind, options, table, **fields):
    net = Net(1)
    indices = net.main.add_tensor("indices", (3,), "INT32")
    net.main.inputs.append(indices)
    given = net.constant(table)
    inputs = [given, indices] if kind == "GATHER" else [indices, given]
    return net.done(net.add(kind, inputs, 3, table.shape[1], options=options, **fields))


@pytest.mark.parametrize("kind, options", [("GATHER", "GatherOptions"), ("EMBEDDING_LOOKUP", None)])
def test_a_table_that_indices_read_needs_no_samples_of_all_its_rows(kind, options):
    """The grid holds the whole table, whichever rows the samples read."""
    table = np.float32(np.random.default_rng(5).normal(size=(9, 4)))
    graph = indexed(kind, options, table)
    coded = int8x.quantize(graph, data=[np.array([1, 2, 1], np.int32)])
    assert not [t for t in coded.main.tensors if t.is_float]
    runner = Runner(coded.to_bytes(), "model", 1, "BUILTIN_REF")
    grid, index = coded.main.outputs[0].quant, coded.main.tensors.index(coded.main.outputs[0])
    for row in range(0, 9, 3):
        runner.run([np.arange(row, row + 3, dtype=np.int32)])
        real = (np.array(runner.value(index), np.float64) - grid.zero_point) * grid.scale
        assert np.abs(real - table[row : row + 3]).max() <= 0.51 * grid.scale


def test_one_hot_is_exact():
    net = Net(1)
    indices = net.main.add_tensor("indices", (3,), "INT32")
    net.main.inputs.append(indices)
    depth, on, off = (
        net.constant(np.array(v)) for v in (np.int32(5), np.float32(1), np.float32(0))
    )
    hot = net.add("ONE_HOT", [indices, depth, on, off], 3, 5, options="OneHotOptions", axis=-1)
    coded = int8x.quantize(net.done(hot), data=[np.array([1, 2, 4], np.int32)])
    runner = Runner(coded.to_bytes(), "model", 1, "BUILTIN_REF")
    runner.run([np.array([0, 3, 4], np.int32)])
    grid, index = coded.main.outputs[0].quant, coded.main.tensors.index(coded.main.outputs[0])
    real = (np.array(runner.value(index), np.float64) - grid.zero_point) * grid.scale
    np.testing.assert_allclose(real, np.eye(5)[[0, 3, 4]], atol=1e-6)


@pytest.mark.parametrize("kind", ["ARG_MAX", "TOPK_V2"])
def test_choices_are_made_on_int8_values(kind):
    net = Net()
    x = net.input(*SHAPE)
    if kind == "ARG_MAX":
        axis = net.constant(np.array(3, np.int32))
        graph = net.done(
            net.add(kind, [x, axis], 1, 6, 6, dtype="INT32", options="ArgMaxOptions", outputType=2)
        )
    else:
        values = net.main.add_tensor("values", (1, 6, 6, 2))
        chosen = net.main.add_tensor("chosen", (1, 6, 6, 2), "INT32")
        two = net.constant(np.array(2, np.int32))
        net.main.add_operator(kind, [x, two], [values, chosen], options="TopKV2Options")
        graph = net.done(values)
    samples = on_grid(SHAPE)
    coded = int8x.quantize(graph, data=samples)
    assert [op.kind for op in coded.main.operators] == [kind]
    expected, got = outputs(graph, samples, "BUILTIN_REF"), outputs(coded, samples, "BUILTIN_REF")
    np.testing.assert_allclose(got, expected, atol=1e-5)


FLOAT = {
    "GREATER": (compared("GREATER", "GreaterOptions"), "steps of 1/256"),
    "NOT_EQUAL": (compared("NOT_EQUAL", "NotEqualOptions"), "steps of 1/256"),
    "DIV": (
        lambda net, x: net.binary(
            "DIV", x, net.binary("ADD", positive(net, x), net.constant(np.float32([1])))
        ),
        "divisor rounds to zero",
    ),
    "FLOOR": (unary("FLOOR"), "no int8 kernel"),
    "SIN": (unary("SIN"), "no int8 kernel"),
    "POW": (with_constants("POW", "PowOptions", SHAPE, np.array(3, np.float32)), "no int8 kernel"),
    "CUMSUM": (
        with_constants("CUMSUM", "CumsumOptions", SHAPE, np.array(1, np.int32)),
        "no int8 kernel",
    ),
    "CAST": (
        lambda net, x: net.add(
            "CAST",
            [net.add("CAST", [x], *SHAPE, dtype="INT32", options="CastOptions", outDataType=2)],
            *SHAPE,
            options="CastOptions",
            inDataType=2,
        ),
        "casts the stored integers",
    ),
    "REDUCE_PROD": (
        with_constants("REDUCE_PROD", "ReducerOptions", (1, 6, 6), np.array([3], np.int32)),
        "range of a product",
    ),
}


@pytest.mark.parametrize("kind", FLOAT)
def test_what_has_no_sound_int8_kernel_stays_float_with_its_reason_if_allowed(kind):
    builder, told = FLOAT[kind]
    graph, samples = float_graph(builder), on_grid(SHAPE)
    with pytest.raises(int8x.QuantizeError, match=told) as caught:
        int8x.quantize(graph, data=samples)
    assert {k for _, k, _ in caught.value.operators} == {kind}
    coded = int8x.quantize(graph, data=samples, recipe=int8x.Recipe(allow_float=True))
    assert {k for _, k, _ in coded.quantization.float_operators} == {kind}
    assert kind in [op.kind for op in coded.main.operators]
    expected, got = outputs(graph, samples, "BUILTIN_REF"), outputs(coded, samples, "BUILTIN_REF")
    assert np.abs(got - expected).max() <= 0.05 * np.abs(expected).max()


def test_a_root_whose_input_may_be_negative_is_refused():
    graph = float_graph(unary("SQRT", of=positive))
    graph.ranges[graph.main.operators[0].outputs[0]] = int8x.QuantParams(0.1, -100)
    with pytest.raises(int8x.QuantizeError, match=r"must start at 0, it starts at -2\.8"):
        int8x.quantize(graph, data=on_grid(SHAPE))


def test_the_lowest_float_that_pads_a_max_pool_stretches_no_range():
    def build(net, x):
        lowest = net.constant(np.array(np.finfo(np.float32).min, np.float32))
        padded = net.add(
            "PADV2", [x, net.constant(PADS), lowest], 1, 8, 8, 4, options="PadV2Options"
        )
        return net.pool("MAX_POOL_2D", padded)

    graph, samples = float_graph(build), on_grid(SHAPE)
    coded = int8x.quantize(graph, data=samples)
    assert not [t for t in coded.main.tensors if t.is_float]
    grid = coded.main.outputs[0].quant
    assert grid.scale == pytest.approx(0.05)
    np.testing.assert_allclose(
        outputs(coded, samples, "BUILTIN_REF"), outputs(graph, samples, "BUILTIN_REF"), atol=1e-5
    )
