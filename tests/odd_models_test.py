"""Models and data at the edge of what makes sense: each is handled, or refused by what is wrong."""

import int8x
import numpy as np
import pytest
from float_nets import Net, on_grid
from float_operators import outputs
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph

SHAPE = (1, 8, 8, 3)
SAMPLES = on_grid(SHAPE)
PADS = np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)


def conv(place: int = 1, index: int = 3, number: float | None = None) -> Graph:
    """A convolution with a number of its weights (1) or bias (2) replaced; None zeroes them all."""
    net = Net()
    y = net.conv(net.input(*SHAPE), 4)
    constant = net.main.operators[0].inputs[place]
    array = np.array(constant.data)
    array.reshape(-1)[slice(None) if number is None else index] = number or 0
    constant.data = array
    return net.done(y)


def within(graph: Graph, samples: np.ndarray, steps: float) -> None:
    """The int8 model is within so many steps of its output of the float one."""
    coded = int8x.quantize(graph, data=samples)
    assert not [t for t in coded.main.tensors if t.is_float]
    expected, got = outputs(graph, samples, "AUTO"), outputs(coded, samples, "BUILTIN_REF")
    assert np.abs(got - expected).max() <= steps * coded.main.outputs[0].quant.scale


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [1, 2])
def test_weights_that_are_no_numbers_are_named(place, number):
    told = (
        f"CONV_2D 'conv_2d0' \\(its constant '{'kernel' if place == 1 else 'bias'}\\d+' holds NaN"
    )
    with pytest.raises(int8x.QuantizeError, match=told):
        int8x.quantize(conv(place, number=number), data=SAMPLES)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_constant_operand_that_is_no_number_is_refused(number):
    net = Net()
    y = net.binary("ADD", net.input(*SHAPE), net.constant(np.float32([number, 1, 2])))
    with pytest.raises(int8x.DataError, match="tensor 'add0' holds NaN or infinities"):
        int8x.quantize(net.done(y), data=SAMPLES)


@pytest.mark.parametrize("number", [1e4, 1e30])
def test_a_huge_outlier_among_the_weights_is_held(number):
    within(conv(number=number), SAMPLES, 2)


def test_a_large_outlier_among_the_weights_costs_its_own_channel_alone():
    coded = int8x.quantize(conv(number=1e4), data=SAMPLES)
    plain = int8x.quantize(conv(number=0.01), data=SAMPLES)
    scales, usual = (g.main.operators[0].inputs[1].quant.scales for g in (coded, plain))
    np.testing.assert_array_equal(scales[1:], usual[1:])
    assert scales[0] > 10 * usual[0]


def test_weights_of_zero_alone_leave_the_bias():
    within(conv(), SAMPLES, 1)


def with_constant_output(shared: bool) -> Graph:
    net = Net()
    x = net.input(*SHAPE)
    constant = net.constant(np.float32([1.0, -2.0, 3.0]), "table")
    y = net.conv(net.binary("ADD", x, constant) if shared else x, 4)
    graph = net.done(y)
    graph.main.outputs.append(constant)
    return graph


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("io", ["int8", "uint8", "int16", "float"])
def test_a_constant_that_is_an_output_keeps_its_values_and_name(io, shared):
    graph = with_constant_output(shared)
    name = graph.main.outputs[1].name
    recipe = int8x.Recipe("int16x8" if io == "int16" else "int8", io=io)
    coded = Graph.from_bytes(int8x.quantize(graph, data=SAMPLES, recipe=recipe).to_bytes())
    made = coded.main.outputs[1]
    assert made.name == name and made.dtype == ("FLOAT32" if io == "float" else io.upper())
    runner = Runner(coded.to_bytes(), "model", 1, "BUILTIN_REF")
    types = {"int8": np.int8, "uint8": np.uint8, "int16": np.int16, "float": np.float32}
    runner.run([SAMPLES[:1].astype(types[io])])
    got = runner.output(1).astype(np.float64)
    if io != "float":
        got = (got - made.quant.zero_point) * made.quant.scale
    np.testing.assert_allclose(got, [1, -2, 3], atol=5 / 255 / 2 * 1.0001)


def test_an_input_of_zeros_alone_is_told():
    zeros = np.zeros_like(SAMPLES)
    with pytest.warns(UserWarning, match="input 'x' is zero in all 8 samples: its scale is 1"):
        coded = int8x.quantize(conv(number=0.01), data=zeros)
    assert coded.main.inputs[0].quant.same_grid(int8x.QuantParams(1.0, 0))


@pytest.mark.parametrize("value", [0.0, 3.5, -1e-20])
def test_samples_of_one_value_give_a_grid_that_holds_it(value):
    # The bias lies on the grid of an input that holds nothing: half a step of it is the error.
    within(conv(number=0.01), np.full((2, *SHAPE[1:]), value, np.float32), 3)


def test_infinite_padding_before_a_max_pool_becomes_the_lowest_float():
    net = Net()
    lowest = net.constant(np.array(-np.inf, np.float32))
    padded = net.add(
        "PADV2", [net.input(*SHAPE), net.constant(PADS), lowest], 1, 10, 10, 3,
        options="PadV2Options",
    )  # fmt: skip
    graph = net.done(net.pool("MAX_POOL_2D", padded))
    within(graph, SAMPLES, 0.01)


def test_integer_inputs_keep_their_type():
    net = Net()
    indices = net.main.add_tensor("i", (1, 3), "INT64")
    net.main.inputs.append(indices)
    table = net.constant(np.float32(np.random.default_rng(0).normal(size=(9, 4))))
    rows = net.add("GATHER", [table, indices], 1, 3, 4, options="GatherOptions")
    graph = net.done(net.dense(net.reshape(rows, 1, 12), 3))
    coded = int8x.quantize(graph, data=[np.array([[1, 2, 3]], np.int64)])
    assert coded.main.inputs[0].dtype == "INT64" and coded.main.outputs[0].dtype == "INT8"
    Runner(coded.to_bytes(), "model", 1, "BUILTIN_REF").run([np.array([[8, 0, 4]], np.int64)])
    with pytest.raises(int8x.DataError, match="int64"):
        int8x.quantize(graph, data=[np.array([[1, 2, 3]], np.float32)])


def reading_integers(dtype: str, readers: int = 1) -> Graph:
    """Convolutions of a model input of whole numbers that CASTs make float."""
    net = Net()
    coded = net.main.add_tensor("pixels", SHAPE, dtype)
    net.main.inputs.append(coded)
    casts = [net.add("CAST", [coded], *SHAPE, options="CastOptions") for _ in range(readers)]
    y = net.conv(casts[0], 4)
    return net.done(net.binary("ADD", y, net.conv(casts[1], 4)) if readers > 1 else y)


def integers(dtype: str) -> np.ndarray:
    limits = np.iinfo(dtype.lower())
    numbers = np.random.default_rng(3).integers(limits.min, limits.max + 1, (6, *SHAPE[1:]))
    return numbers.astype(dtype.lower())


@pytest.mark.parametrize("readers", [1, 2])
@pytest.mark.parametrize("dtype", ["UINT8", "INT8"])
def test_pixels_are_read_as_they_come(dtype, readers):
    graph, samples = reading_integers(dtype, readers), integers(dtype)
    coded = int8x.quantize(graph.copy(), data=samples)
    kinds = [op.kind for op in coded.main.operators]
    assert "CAST" not in kinds and "DEQUANTIZE" not in kinds
    assert kinds.count("QUANTIZE") == (readers if dtype == "UINT8" else 0)
    pixels = coded.main.inputs[0]
    assert pixels.dtype == dtype and pixels.quant.same_grid(int8x.QuantParams(1.0, 0))
    net = Net()
    given = net.input(*SHAPE)
    y = net.conv(given, 4)
    alone = net.done(net.binary("ADD", y, net.conv(given, 4)) if readers > 1 else y)
    given.range = int8x.QuantParams(1.0, -128 if dtype == "UINT8" else 0)
    same = int8x.quantize(alone, data=samples.astype(np.float32))
    shift = 128 if dtype == "UINT8" else 0
    for sample in samples:
        mine = Runner(coded.to_bytes(), "model", 1, "BUILTIN_REF")
        its = Runner(same.to_bytes(), "model", 1, "BUILTIN_REF")
        mine.run([sample[None]])
        its.run([(sample.astype(np.int16) - shift).astype(np.int8)[None]])
        np.testing.assert_array_equal(mine.output(0), its.output(0))


@pytest.mark.parametrize("recipe", ["int16x8", "dynamic", int8x.Recipe("int8", io="float")])
def test_pixels_are_read_by_every_recipe(recipe):
    graph, samples = reading_integers("UINT8"), integers("UINT8")
    dynamic = recipe == "dynamic"
    coded = int8x.quantize(graph.copy(), data=None if dynamic else samples, recipe=recipe)
    assert coded.main.inputs[0].dtype == "UINT8"
    runner, exact = Runner(coded.to_bytes(), "model", 1), Runner(graph.to_bytes(), "model", 1)
    for sample in samples:
        runner.run([sample[None]])
        exact.run([sample[None]])
        got, made = runner.output(0).astype(np.float64), coded.main.outputs[0].quant
        got = got if made is None else (got - made.zero_point) * made.scale
        assert np.abs(got - exact.output(0)).max() < 0.02 * np.abs(exact.output(0)).max()


def test_each_operator_of_a_model_that_reads_pixels_is_compared():
    graph, samples = reading_integers("UINT8"), integers("UINT8")
    coded = int8x.quantize(graph.copy(), data=samples)
    report = int8x.validate(graph, coded, data=samples)
    assert report.notes == ()
    conv = next(op for op in report.operators if op.kind == "CONV_2D")
    assert conv.sqnr_db > 35


@pytest.mark.parametrize("free", [(-1, 8, 8, 3), (1, -1, -1, 3), (-1, -1, -1, 3)])
def test_free_dimensions_stay_free(free):
    net = Net()
    x = net.input(*(1 if d < 0 else d for d in free))
    x.signature = free
    y = net.conv(x, 4)
    y.signature = (*free[:3], 4)
    axes = net.constant(np.array([1, 2], np.int32))
    graph = net.done(net.add("MEAN", [y, axes], 1, 4, options="ReducerOptions"))
    coded = Graph.from_bytes(int8x.quantize(graph, data=SAMPLES).to_bytes())
    assert coded.main.inputs[0].signature == free
    runner = Runner(coded.to_bytes(), "model", 1, "BUILTIN_REF")
    shapes = [tuple(n if d < 0 else d for d in free) for n in (1, 5, 2)]
    for shape in shapes:
        runner.run([np.ones(shape, np.int8)])


def test_an_input_that_no_data_can_fill_is_named():
    net = Net()
    x = net.input(*SHAPE)
    net.main.inputs.append(net.main.add_tensor("words", (1,), "STRING"))
    with pytest.raises(int8x.DataError, match="input 'words' is of type STRING"):
        int8x.quantize(net.done(net.conv(x, 2)), data=SAMPLES)


def test_an_input_without_elements_is_refused_by_the_runtime_in_words():
    net = Net()
    graph = net.done(net.conv(net.input(1, 0, 8, 3), 2))
    with pytest.raises(int8x.ModelError, match="TFLite cannot run this model"):
        int8x.quantize(graph, data=np.zeros((1, 0, 8, 3), np.float32))


@pytest.mark.parametrize("io", ["int8", "uint8", "float"])
def test_a_model_that_is_quantized_already_is_told_so(io):
    coded = int8x.quantize(conv(number=0.01), data=SAMPLES, recipe=int8x.Recipe(io=io))
    with pytest.raises(int8x.QuantizeError, match=r"already quantized: tensor '.*' is U?INT8"):
        int8x.quantize(coded, data=SAMPLES)
