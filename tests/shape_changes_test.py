"""Resized inputs, open batch sizes, tensors whose shape is known only when running, and loops:
still the reference's bits.
"""

import int8x
import numpy as np
import pytest
from exactness import difference, run
from int8x.runtime.interpreter import load_runtime, open_interpreter
from operator_models import ACTIVATIONS, PADDINGS, ModelBuilder
from random_graphs import random_graph

RUNTIME = load_runtime("ai_edge_litert")


def reference(model):
    return open_interpreter(RUNTIME, model, 1, "reference")


def resize(interpreter, shape):
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], shape)
    interpreter.allocate_tensors()


def with_batch(feed: np.ndarray, batch: int) -> np.ndarray:
    return np.concatenate([np.roll(feed, k, axis=-1) for k in range(batch)])


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_resized_batch_equals_the_reference(threads):
    for seed in range(3000, 3040):
        case, _ = random_graph(seed, any_batch=True)
        delegate, stock = (
            int8x.Interpreter(case.model, threads, resolver="reference"),
            reference(case.model),
        )
        for batch in (3, 1, 7, 2):
            feed = with_batch(case.feeds[0][0], batch)
            for interpreter in (delegate, stock):
                resize(interpreter, feed.shape)
            different = difference(run(stock, [[feed]]), run(delegate, [[feed]]))
            assert not different, f"{case.name}, batch {batch}: {different}"


def image_net() -> bytes:
    """PAD, CONV_2D, DEPTHWISE_CONV_2D, MAX_POOL_2D, ADD, MEAN, FULLY_CONNECTED: any height and
    width will do.
    """
    generator = np.random.default_rng(5)
    model = ModelBuilder()
    q = dict(scale=0.05, zero_point=-3)
    x = model.input((1, 9, 11, 3), **q, signature=(-1, -1, -1, 3))
    padded = model.tensor((1, 11, 13, 3), **q)
    model.operator("PAD", [x, model.constant([[0, 0], [1, 1], [1, 1], [0, 0]])], [padded])
    window = dict(strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)

    def weighted(operator, source, filter_shape, out_shape, axis, **options):
        scales = np.linspace(0.002, 0.01, filter_shape[axis]).astype(np.float32)
        w = model.constant(
            generator.integers(-127, 128, filter_shape), np.int8, scale=scales, axis=axis
        )
        b = model.constant(
            generator.integers(-999, 999, filter_shape[axis]), np.int32, scale=scales
        )
        y = model.tensor(out_shape, **q)
        model.operator(
            operator, [source, w, b], [y], fusedActivationFunction=ACTIVATIONS["RELU6"], **options
        )
        return y

    a = weighted(
        "CONV_2D", padded, (16, 3, 3, 3), (1, 9, 11, 16), 0, padding=PADDINGS["VALID"], **window
    )
    b = weighted(
        "DEPTHWISE_CONV_2D",
        a,
        (1, 3, 3, 16),
        (1, 9, 11, 16),
        3,
        padding=PADDINGS["SAME"],
        depthMultiplier=1,
        **window,
    )
    pool = dict(strideH=1, strideW=1, filterHeight=3, filterWidth=3, padding=PADDINGS["SAME"])
    c, d = model.tensor((1, 9, 11, 16), **q), model.tensor((1, 9, 11, 16), **q)
    model.operator("MAX_POOL_2D", [b], [c], **pool)
    model.operator("ADD", [a, c], [d], fusedActivationFunction=0)
    e = model.tensor((1, 16), **q)
    model.operator("MEAN", [d, model.constant([1, 2])], [e], keepDims=False)
    f = weighted("FULLY_CONNECTED", e, (5, 16), (1, 5), 0)
    return model.finish([f, d])


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_resized_height_and_width_equal_the_reference(threads):
    model = image_net()
    delegate, stock = int8x.Interpreter(model, threads, resolver="reference"), reference(model)
    generator = np.random.default_rng(6)
    for shape in (
        (1, 9, 11, 3),
        (1, 20, 5, 3),
        (2, 1, 1, 3),
        (1, 33, 40, 3),
        (3, 7, 7, 3),
        (1, 9, 11, 3),
    ):
        feed = generator.integers(-128, 128, shape).astype(np.int8)
        for interpreter in (delegate, stock):
            resize(interpreter, shape)
        different = difference(run(stock, [[feed]]), run(delegate, [[feed]]))
        assert not different, f"{shape}: {different}"
    assert delegate.claims.partitions == 1 and delegate.claims.claimed_ops == 1


def grouped_net() -> bytes:
    """A CONV_2D whose weights also fit other channels than the model states."""
    generator = np.random.default_rng(7)
    model = ModelBuilder()
    q = dict(scale=0.05, zero_point=-3)
    window = dict(strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1, padding=0)
    x = model.input((1, 5, 6, 4), **q, signature=(-1, 5, 6, -1))
    w = model.constant(generator.integers(-127, 128, (8, 3, 3, 4)), np.int8, scale=0.01)
    b = model.constant(generator.integers(-999, 999, 8), np.int32, scale=0.0005)
    y = model.tensor((1, 5, 6, 8), **q)
    model.operator("CONV_2D", [x, w, b], [y], fusedActivationFunction=0, **window)
    return model.finish([y])


def test_channels_that_make_other_groups_are_packed_anew():
    model = grouped_net()
    delegate, stock = int8x.Interpreter(model, 1, resolver="reference"), reference(model)
    generator = np.random.default_rng(8)
    for channels in (4, 8, 16, 4):
        feed = generator.integers(-128, 128, (2, 5, 6, channels)).astype(np.int8)
        for interpreter in (delegate, stock):
            resize(interpreter, feed.shape)
        different = difference(run(stock, [[feed]]), run(delegate, [[feed]]))
        assert not different, f"{channels} channels: {different}"
    for channels in (6, 6):
        with pytest.raises(RuntimeError, match="CONV_2D"):
            resize(delegate, (1, 5, 6, channels))
    feed = generator.integers(-128, 128, (1, 5, 6, 8)).astype(np.int8)
    for interpreter in (delegate, stock):
        resize(interpreter, feed.shape)
    assert not difference(run(stock, [[feed]]), run(delegate, [[feed]]))


def test_a_call_follows_open_dimensions_and_refuses_others():
    model = image_net()
    interpreter, stock = int8x.Interpreter(model, resolver="reference"), reference(model)
    for shape in ((2, 8, 8, 3), (1, 9, 11, 3)):
        feed = np.full(shape, 7, np.int8)
        resize(stock, shape)
        assert not difference(run(stock, [[feed]]), [list(interpreter(feed))])
    with pytest.raises(
        ValueError, match=r"t0: wanted shape \(-1, -1, -1, 3\), got \(1, 9, 11, 4\)"
    ):
        interpreter(np.zeros((1, 9, 11, 4), np.int8))
    with pytest.raises(TypeError, match="t0: wanted int8, got float64"):
        interpreter(np.zeros((1, 9, 11, 3)))


def test_shapes_known_only_when_running_give_the_reference():
    model = ModelBuilder()
    q = dict(scale=0.1, zero_point=3)
    x, shape = model.input((2, 12), **q), model.input((2,), np.int32)
    before, reshaped = model.tensor((2, 12), **q), model.tensor((2, 12), **q)
    after = model.tensor((2, 12), scale=1 / 256, zero_point=-128)
    model.operator("RELU", [x], [before])
    model.operator("RESHAPE", [before, shape], [reshaped])
    model.operator("LOGISTIC", [reshaped], [after])
    content = model.finish([after, before])
    delegate, stock = int8x.Interpreter(content, resolver="reference"), reference(content)
    feeds = [
        [np.arange(24, dtype=np.int8).reshape(2, 12), np.array(s, np.int32)]
        for s in ((2, 12), (4, 6), (24, 1))
    ]
    assert not difference(run(stock, feeds), run(delegate, feeds))
    assert delegate.claims.nodes[0].claimed


def loop() -> bytes:
    """x = RELU6(x + x / 2) as often as the second input says; every subgraph has claimable
    operators or none.
    """
    q = dict(scale=0.05, zero_point=-10)
    model = ModelBuilder()
    i, x = model.input((1,), np.int32), model.input((1, 30), **q)
    doubled = model.tensor((1, 30), **q)
    model.operator("ADD", [x, x], [doubled], fusedActivationFunction=0)
    outputs = [model.tensor((1,), np.int32), model.tensor((1, 30), **q)]
    model.operator("WHILE", [i, doubled], outputs, condSubgraphIndex=1, bodySubgraphIndex=2)
    model.next_subgraph(outputs)
    i, _ = model.input((1,), np.int32), model.input((1, 30), **q)
    less = model.tensor((1,), np.bool_)
    model.operator("LESS", [i, model.constant([5])], [less])
    model.next_subgraph([less])
    i, x = model.input((1,), np.int32), model.input((1, 30), **q)
    following, half, rectified = (
        model.tensor((1,), np.int32),
        model.tensor((1, 30), **q),
        model.tensor((1, 30), **q),
    )
    model.operator(
        "ADD", [i, model.constant([1])], [following], fusedActivationFunction=0, version=1
    )
    factor = model.constant(np.full((1, 30), 64), np.int8, scale=0.002)
    model.operator("MUL", [x, factor], [half], fusedActivationFunction=0)
    model.operator("ADD", [x, half], [rectified], fusedActivationFunction=ACTIVATIONS["RELU6"])
    return model.finish([following, rectified])


def test_a_loop_equals_the_reference():
    content = loop()
    delegate, stock = int8x.Interpreter(content, 2, resolver="reference"), reference(content)
    values = np.random.default_rng(7).integers(-128, 128, (1, 30)).astype(np.int8)
    feeds = [[np.array([start], np.int32), values] for start in (0, 4, 5, 2)]
    assert not difference(run(stock, feeds), run(delegate, feeds))
    assert len(delegate.claims.subgraphs) == 3
    assert [
        len(s.partitions) for s in delegate.claims.subgraphs if any(n.claimed for n in s.nodes)
    ] == [1, 1]


GRID = dict(scale=0.05, zero_point=-3)
TABLE = dict(scale=1 / 256, zero_point=-128)
H, W = 4, 5  # as the file says; what is behind the size is read when the model runs
WINDOW = dict(strideH=1, strideW=1, padding=PADDINGS["SAME"])
POOL = dict(filterHeight=3, filterWidth=2, **WINDOW)


def weighted(
    model: ModelBuilder, y: int, shape: tuple[int, ...], axis: int, bias: type = np.int32
) -> list[int]:
    generator = np.random.default_rng(3)
    scales = np.linspace(0.002, 0.01, shape[axis]).astype(np.float32)
    weights = model.constant(generator.integers(-127, 128, shape), np.int8, scale=scales, axis=axis)
    return [
        y,
        weights,
        model.constant(generator.integers(-99, 99, shape[axis]), bias, scale=scales * 0.05),
    ]


def times(model: ModelBuilder, y: int) -> list[int]:
    return [y, model.constant(np.arange(8), np.int8, scale=0.01)]


def twice(model: ModelBuilder, y: int) -> list[int]:
    return [y, y]


# What an operator reads behind a tensor of a shape that is known only when running, [1, h, w, 8];
# the shape of what it makes and its grid, as the file says; and its options.
BEHIND = {
    "CONV_2D": (
        lambda m, y: weighted(m, y, (6, 3, 3, 8), 0),
        (1, H, W, 6),
        GRID,
        dict(dilationHFactor=1, dilationWFactor=1, **WINDOW),
    ),
    "DEPTHWISE_CONV_2D": (
        lambda m, y: weighted(m, y, (1, 3, 3, 8), 3),
        (1, H, W, 8),
        GRID,
        dict(dilationHFactor=1, dilationWFactor=1, depthMultiplier=1, **WINDOW),
    ),
    "FULLY_CONNECTED": (
        lambda m, y: weighted(m, y, (6, 8), 0),
        (1, H, W, 6),
        GRID,
        dict(keepNumDims=True),
    ),
    "AVERAGE_POOL_2D": (lambda m, y: [y], (1, H, W, 8), GRID, POOL),
    "MAX_POOL_2D": (lambda m, y: [y], (1, H, W, 8), GRID, POOL),
    "ADD": (twice, (1, H, W, 8), GRID, {}),
    "MUL": (times, (1, H, W, 8), GRID, {}),
    "SELECT_V2": (
        lambda m, y: [
            m.constant(np.arange(8) % 3 > 0, np.bool_),
            y,
            m.constant(5, np.int8, **GRID),
        ],
        (1, H, W, 8),
        GRID,
        {},
    ),
    "CONCATENATION": (twice, (1, 2 * H, W, 8), GRID, dict(axis=1)),
    "PACK": (twice, (1, H, 2, W, 8), GRID, dict(axis=2, valuesCount=2)),
    "PAD": (
        lambda m, y: [y, m.constant([[0, 0], [1, 2], [0, 1], [0, 0]])],
        (1, H + 3, W + 1, 8),
        GRID,
        {},
    ),
    "MEAN": (lambda m, y: [y, m.constant([1])], (1, W, 8), GRID, dict(keepDims=False)),
    "RESHAPE": (lambda m, y: [y, m.constant([1, -1, 4])], (1, H * W * 2, 4), GRID, {}),
    "EXPAND_DIMS": (lambda m, y: [y, m.constant([-3])], (1, H, 1, W, 8), GRID, {}),
    "SQUEEZE": (lambda m, y: [y], (H, W, 8), GRID, dict(squeezeDims=[-4])),
    "TRANSPOSE": (lambda m, y: [y, m.constant([0, 2, 1, 3])], (1, W, H, 8), GRID, {}),
    "RESIZE_BILINEAR": (
        lambda m, y: [y, m.constant([7, 3])],
        (1, 7, 3, 8),
        GRID,
        dict(halfPixelCenters=True),
    ),
    "LOGISTIC": (lambda m, y: [y], (1, H, W, 8), TABLE, {}),
    "SOFTMAX": (lambda m, y: [y], (1, H, W, 8), TABLE, dict(beta=1.0)),
    "QUANTIZE": (lambda m, y: [y], (1, H, W, 8), dict(scale=0.1, zero_point=7), {}),
    "L2_NORMALIZATION": (lambda m, y: [y], (1, H, W, 8), dict(scale=1 / 128, zero_point=0), {}),
}


WORDS = dict(dtype=np.int16, scale=0.05)
WIDE_TABLE = dict(dtype=np.int16, scale=1 / 32768)
BEHIND_WIDE = {
    "CONV_2D": (
        lambda m, y: weighted(m, y, (6, 3, 3, 8), 0, np.int64),
        (1, H, W, 6),
        WORDS,
        dict(dilationHFactor=1, dilationWFactor=1, **WINDOW),
    ),
    "DEPTHWISE_CONV_2D": (
        lambda m, y: weighted(m, y, (1, 3, 3, 8), 3, np.int64),
        (1, H, W, 8),
        WORDS,
        dict(dilationHFactor=1, dilationWFactor=1, depthMultiplier=1, **WINDOW),
    ),
    "FULLY_CONNECTED": (
        lambda m, y: weighted(m, y, (6, 8), 0, np.int64),
        (1, H, W, 6),
        WORDS,
        dict(keepNumDims=True),
    ),
    "AVERAGE_POOL_2D": (lambda m, y: [y], (1, H, W, 8), WORDS, POOL),
    "MAX_POOL_2D": (lambda m, y: [y], (1, H, W, 8), WORDS, POOL),
    "ADD": (twice, (1, H, W, 8), WORDS, {}),
    "MUL": (
        lambda m, y: [y, m.constant(np.arange(8) * 1000, np.int16, scale=1e-4)],
        (1, H, W, 8),
        WORDS,
        {},
    ),
    "PAD": (
        lambda m, y: [y, m.constant([[0, 0], [1, 2], [0, 1], [0, 0]])],
        (1, H + 3, W + 1, 8),
        WORDS,
        {},
    ),
    "RESHAPE": (lambda m, y: [y, m.constant([1, -1, 4])], (1, H * W * 2, 4), WORDS, {}),
    "TRANSPOSE": (lambda m, y: [y, m.constant([0, 2, 1, 3])], (1, W, H, 8), WORDS, {}),
    "LOGISTIC": (lambda m, y: [y], (1, H, W, 8), WIDE_TABLE, {}),
    "TANH": (lambda m, y: [y], (1, H, W, 8), WIDE_TABLE, {}),
    "SOFTMAX": (lambda m, y: [y], (1, H, W, 8), WIDE_TABLE, dict(beta=1.0)),
    "QUANTIZE": (lambda m, y: [y], (1, H, W, 8), dict(scale=0.1, zero_point=7), {}),
}


def behind(kind: str, grid: dict[str, object], case: tuple) -> bytes:
    """A model that resizes its input to a size that it reads, and an operator behind that. The
    operators before are one node of the delegate's: runtimes then count nodes wrongly and leave the
    shapes behind as the file says them.
    """
    reads, shape, made_grid, options = case
    model = ModelBuilder()
    x, size = model.input((1, 2, 3, 8), **grid), model.input((2,), np.int32)
    a, b = model.tensor((1, 2, 3, 8), **grid), model.tensor((1, 2, 3, 8), **grid)
    resized, y = model.tensor((1, H, W, 8), **grid), model.tensor((1, H, W, 8), **grid)
    made = model.tensor(shape, **made_grid)
    model.operator("ADD", [x, x], [a])
    model.operator("ADD", [a, x], [b])
    model.operator("RESIZE_NEAREST_NEIGHBOR", [b, size], [resized])
    model.operator("ADD", [resized, resized], [y])
    model.operator(kind, reads(model, y), [made], **options)
    return model.finish([made])


@pytest.mark.parametrize(
    ("kind", "grid", "case"),
    [(kind, GRID, case) for kind, case in BEHIND.items()]
    + [(kind, WORDS, case) for kind, case in BEHIND_WIDE.items()],
)
def test_operators_behind_a_shape_known_only_when_running_give_the_reference(kind, grid, case):
    content = behind(kind, grid, case)
    delegate, stock = int8x.Interpreter(content, resolver="reference"), reference(content)
    generator, dtype = np.random.default_rng(8), grid.get("dtype", np.int8)
    ends = np.iinfo(dtype)
    for wanted in ((H, W), (6, 9), (3, 2), (11, 5), (11, 5)):
        values = generator.integers(ends.min, ends.max + 1, (1, 2, 3, 8)).astype(dtype)
        feeds = [[values, np.array(wanted, np.int32)]]
        different = difference(run(stock, feeds), run(delegate, feeds))
        assert not different, f"{wanted}: {different}"
    assert delegate.claims.partitions == 2
    assert [node.claimed for node in delegate.claims.nodes] == [True, True, False, True, True]


def test_sizes_that_a_model_needs_are_given_before_its_tensors_are_allocated():
    model = ModelBuilder()
    q = dict(scale=0.05, zero_point=-3)
    x = model.input((1, 1, 1, 8), signature=(-1, -1, -1, 8), **q)
    y = model.tensor((1, 1, 1, 8), **q)
    model.operator("MAX_POOL_2D", [x], [y], **{**POOL, "padding": PADDINGS["VALID"]})
    content = model.finish([y])
    interpreter = int8x.Interpreter(content)
    values = np.random.default_rng(9).integers(-128, 128, (2, 5, 7, 8)).astype(np.int8)
    stock = load_runtime("ai_edge_litert").interpreter(model_content=content)
    resize(stock, values.shape)
    assert not difference(run(stock, [[values]]), [[interpreter(values)]])
    fixed = ModelBuilder()
    x, y = fixed.input((1, 1, 1, 8), **q), fixed.tensor((1, 1, 1, 8), **q)
    fixed.operator("MAX_POOL_2D", [x], [y], **{**POOL, "padding": PADDINGS["VALID"]})
    with pytest.raises(int8x.ModelError, match="refuses the model"):
        int8x.Interpreter(fixed.finish([y]))
