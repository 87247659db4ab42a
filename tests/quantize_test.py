"""quantize: where each range comes from, what is refused and why, and that the same input gives the
same bytes.
"""

import dataclasses

import int8x
import numpy as np
import pytest
from float_nets import RELU, RELU6, Net, on_grid, small_network
from float_operators import outputs
from int8x.calibration.tensor_stats import empty
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph
from int8x.tflite.quant_params import QuantParams, real_range

SHAPE = (1, 8, 8, 3)
SAMPLES = on_grid(SHAPE)


def kinds(graph: Graph) -> list[str]:
    return [op.kind for op in graph.main.operators]


def prepares(graph: Graph) -> bool:
    """Loads and runs under the reference kernels."""
    runner = Runner(graph.to_bytes(), "model", 1, "BUILTIN_REF")
    types = {"INT8": np.int8, "UINT8": np.uint8, "FLOAT32": np.float32}
    runner.run([np.zeros(t.shape, types[t.dtype]) for t in graph.main.inputs])
    return True


def test_a_network_becomes_int8_throughout():
    coded = int8x.quantize(small_network(), data=SAMPLES)
    assert not [t for t in coded.main.tensors if t.is_float]
    assert prepares(coded) and not coded.quantization.float_operators
    report = int8x.validate(small_network(), coded, SAMPLES)
    assert min(t.sqnr_db for t in report.tensors) > 25


def test_equal_inputs_give_equal_bytes_from_data_statistics_and_files(tmp_path):
    small_network().save(tmp_path / "f.tflite")
    stats = int8x.calibrate(small_network(), SAMPLES)
    stats.save(tmp_path / "s.npz")
    np.save(tmp_path / "d.npy", SAMPLES)
    path, content = tmp_path / "f.tflite", (tmp_path / "f.tflite").read_bytes()
    plain = int8x.quantize(small_network(), data=SAMPLES, recipe="minmax").to_bytes()
    files = int8x.quantize(str(path), stats=str(tmp_path / "s.npz"), recipe="minmax")
    assert files.to_bytes() == int8x.quantize(path, stats, recipe="minmax").to_bytes() == plain
    refined = int8x.quantize(small_network(), data=SAMPLES).to_bytes()
    assert int8x.quantize(content, data=tmp_path / "d.npy").to_bytes() == refined
    assert int8x.quantize(path, stats, tmp_path / "d.npy").to_bytes() == refined


def test_the_given_graph_is_not_changed():
    graph = small_network()
    before = graph.to_bytes()
    int8x.quantize(graph, data=SAMPLES)
    assert graph.to_bytes() == before


def test_saving_writes_the_recipe_beside_the_model(tmp_path):
    coded = int8x.quantize(small_network(), data=SAMPLES, recipe=int8x.Recipe(observer="average"))
    coded.save(tmp_path / "model.int8.tflite")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "model.int8.recipe.json",
        "model.int8.tflite",
    ]
    assert int8x.Recipe.load(tmp_path / "model.int8.recipe.json") == coded.quantization.recipe


def test_given_ranges_come_first_and_the_rest_is_calibrated():
    graph = small_network()
    graph.ranges["add3"] = QuantParams(0.75, 5, source="qat")
    coded = int8x.quantize(graph, data=SAMPLES)
    grids = coded.quantization.grids
    assert grids["add3"] == QuantParams(0.75, 5, source="qat")
    assert grids["conv_2d0"].source == "mse of 8 samples"
    assert grids["softmax11"].source == "fixed by TFLite"


def test_ranges_in_the_file_need_no_data():
    net = Net()
    x = net.input(*SHAPE)
    y = net.conv(x, 4, activation=RELU)
    graph = net.done(net.pool("MAX_POOL_2D", y))
    graph.ranges["x"], graph.ranges[y] = QuantParams(0.05, -3), QuantParams(0.1, -128)
    coded = int8x.quantize(Graph.from_bytes(graph.to_bytes()))
    assert coded.main.outputs[0].quant.same_grid(QuantParams(0.1, -128))
    assert not coded.ranges


def test_given_weight_scales_are_used_exactly():
    net = Net()
    y = net.conv(net.input(*SHAPE), 4)
    weights = net.main.operators[0].inputs[1]
    steps = net.random.integers(-50, 51, weights.shape)
    scales = np.array([0.01, 0.02, 0.03, 0.5], np.float32)
    weights.data = (steps * scales.reshape(4, 1, 1, 1)).astype(np.float32)
    graph = net.done(y)
    graph.ranges[weights] = QuantParams(scales, 0, axis=0, source="qat")
    kernel = int8x.quantize(graph, data=SAMPLES).main.operators[0].inputs[1]
    np.testing.assert_array_equal(kernel.quant.scales, scales)
    np.testing.assert_array_equal(kernel.data, steps)


def test_weight_scales_along_another_axis_are_refused():
    net = Net()
    y = net.depthwise(net.input(1, 8, 8, 3))
    weights = net.main.operators[0].inputs[1]
    graph = net.done(y)
    graph.ranges[weights] = QuantParams([0.1] * 3, 0, axis=1)
    with pytest.raises(
        int8x.QuantizeError, match="takes weight scales along axis 3, axis 1 was given"
    ):
        int8x.quantize(graph, data=SAMPLES)


@pytest.mark.parametrize("observer", ["minmax", "average", "percentile"])
def test_each_observer_narrows_no_wider_than_minmax(observer):
    recipes = int8x.Recipe(observer=observer, percentile=99.0), int8x.Recipe(observer="minmax")
    own, widest = (
        int8x.quantize(small_network(), data=SAMPLES, recipe=recipe).quantization.grids["conv_2d0"]
        for recipe in recipes
    )
    assert own.scale <= widest.scale


def test_without_any_range_the_missing_tensors_are_named():
    with pytest.raises(
        int8x.QuantizeError,
        match=r"no range is known for 'x', 'conv_2d0'.* more: give data or statistics",
    ):
        int8x.quantize(small_network())


def test_statistics_of_another_model_are_refused_or_renewed():
    stats = int8x.calibrate(small_network(1), SAMPLES)
    with pytest.raises(int8x.StatsError, match="belong to another model"):
        int8x.quantize(small_network(), stats)
    with pytest.warns(UserWarning, match="calibrating anew"):
        coded = int8x.quantize(small_network(), stats, SAMPLES)
    assert coded.to_bytes() == int8x.quantize(small_network(), data=SAMPLES).to_bytes()


def with_square_root() -> Graph:
    net = Net()
    a = net.conv(net.input(*SHAPE), 4, activation=RELU)
    b = net.add("SIN", [net.add("FLOOR", [a], *a.shape)], *a.shape)
    return net.done(net.binary("ADD", a, b))


def test_operators_without_an_int8_form_are_listed_and_refused():
    with pytest.raises(
        int8x.QuantizeError, match=r"2 operators cannot be made int8: FLOOR 'floor1'.*allow_float"
    ) as caught:
        int8x.quantize(with_square_root(), data=SAMPLES)
    assert [(name, kind) for name, kind, _ in caught.value.operators] == [
        ("floor1", "FLOOR"),
        ("sin2", "SIN"),
    ]


def test_allowed_float_operators_are_wrapped_once_and_reported():
    coded = int8x.quantize(with_square_root(), data=SAMPLES, recipe=int8x.Recipe(allow_float=True))
    assert kinds(coded) == ["CONV_2D", "DEQUANTIZE", "FLOOR", "SIN", "QUANTIZE", "ADD"]
    assert [kind for _, kind, _ in coded.quantization.float_operators] == ["FLOOR", "SIN"]
    assert prepares(coded)


def test_a_quantized_model_is_refused_as_such():
    coded = int8x.quantize(small_network(), data=SAMPLES)
    with pytest.raises(
        int8x.QuantizeError, match=r"already quantized: tensor 'x' is INT8 with scale 0.05"
    ):
        int8x.quantize(coded, data=SAMPLES)


def test_zero_weights_stay_zero_and_a_missing_bias_is_added():
    net = Net()
    y = net.dense(net.reshape(net.conv(net.input(*SHAPE), 4, bias=False), 1, 256), 8, bias=False)
    zeros = {}
    for op in net.main.operators:
        if op.kind != "RESHAPE":
            weights = np.array(op.inputs[1].data)
            weights[net.random.random(weights.shape) < 0.5] = 0
            op.inputs[1].data = weights
            zeros[op.kind] = weights == 0
    coded = int8x.quantize(net.done(y), data=SAMPLES, recipe="minmax")
    for op in coded.main.operators:
        if op.kind in zeros:
            assert not np.any(op.inputs[1].data[zeros[op.kind]])
            assert op.inputs[2].dtype == "INT32" and not np.any(op.inputs[2].data)


def test_outputs_that_outgrow_their_reader_get_a_quantize_not_a_shared_grid():
    net = Net()
    x = net.input(*SHAPE)
    small, large = net.conv(x, 4), net.conv(x, 4)
    net.main.operators[-1].inputs[1].data = net.main.operators[-1].inputs[1].data * 100
    graph = net.done(net.concat([small, large]), small)
    coded = int8x.quantize(graph, data=SAMPLES)
    assert kinds(coded) == ["CONV_2D", "CONV_2D", "QUANTIZE", "CONCATENATION"]
    alone = net.done(graph.main.outputs[0])
    assert "QUANTIZE" not in kinds(int8x.quantize(alone, data=SAMPLES))


def test_same_grid_operators_between_two_given_ranges_end_in_a_quantize():
    net = Net()
    x = net.input(*SHAPE)
    y = net.pool("MAX_POOL_2D", x)
    graph = net.done(net.conv(y, 4))
    graph.ranges[x], graph.ranges[y] = QuantParams(0.05, -3), QuantParams(0.02, 7)
    coded = int8x.quantize(graph, data=SAMPLES)
    assert kinds(coded) == ["MAX_POOL_2D", "QUANTIZE", "CONV_2D"]
    assert coded.main.operators[2].inputs[0].quant.same_grid(QuantParams(0.02, 7))
    assert prepares(coded)


def test_concatenation_of_given_ranges_requantizes_each_to_the_result():
    net = Net()
    x = net.input(*SHAPE)
    a, b = net.conv(x, 4), net.add("LOGISTIC", [x], *SHAPE)
    c = net.concat([a, b])
    graph = net.done(c)
    graph.ranges[a], graph.ranges[c] = QuantParams(0.3, 1), QuantParams(0.4, 2)
    coded = int8x.quantize(graph, data=SAMPLES)
    assert kinds(coded) == ["CONV_2D", "LOGISTIC", "QUANTIZE", "QUANTIZE", "CONCATENATION"]
    assert coded.main.outputs[0].quant.same_grid(QuantParams(0.4, 2)) and prepares(coded)


def test_lowest_float_padding_saturates_and_stretches_no_range():
    net = Net()
    x = net.input(*SHAPE)
    lowest = net.constant(np.array([np.finfo(np.float32).min], np.float32))
    padded = net.add(
        "PADV2",
        [x, net.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)), lowest],
        1,
        10,
        10,
        3,
    )
    coded = int8x.quantize(net.done(net.pool("MAX_POOL_2D", padded)), data=SAMPLES)
    assert coded.main.outputs[0].quant.same_grid(QuantParams(0.05, -3))
    assert coded.main.operators[0].inputs[2].data.tolist() == [-128]


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-12, 1e3])
def test_extreme_and_empty_ranges_still_prepare(scale):
    net = Net()
    x = net.input(*SHAPE)
    a = net.conv(x, 4, activation=RELU6)
    net.main.operators[0].inputs[1].data = (
        net.main.operators[0].inputs[1].data * np.float32(scale)
    ).astype(np.float32)
    net.main.operators[0].inputs[2].data = np.zeros(4, np.float32)
    b = net.binary("SUB", net.binary("ADD", a, a), a, activation=RELU6)
    logits = net.dense(net.reshape(b, 1, 256), 3, bias=False)
    graph = net.done(net.add("SOFTMAX", [logits], 1, 3, options="SoftmaxOptions", beta=1.0))
    assert prepares(int8x.quantize(graph, data=SAMPLES))


def test_an_output_too_fine_for_its_weights_is_refused():
    net = Net()
    y = net.conv(net.input(*SHAPE), 4, activation=RELU6)
    net.main.operators[0].inputs[1].data = net.main.operators[0].inputs[1].data * np.float32(1e12)
    with pytest.raises(int8x.QuantizeError, match=r"conv_2d0: the output's scale .* is too small"):
        int8x.quantize(net.done(y), data=SAMPLES)


@pytest.mark.parametrize("weight", [0.0, 1e-25])
def test_a_channel_of_nothing_keeps_its_bias(weight):
    net = Net()
    y = net.conv(net.input(*SHAPE), 4)
    kernel, bias = net.main.operators[0].inputs[1:]
    weights = np.array(kernel.data)
    weights[2] = weight
    kernel.data, bias.data = weights, np.float32([0.5, -1, 0.75, 0])
    coded = int8x.quantize(net.done(y), data=SAMPLES)
    runner = Runner(coded.to_bytes(), "model", 1, "BUILTIN_REF")
    runner.run([np.zeros(SHAPE, np.int8)])
    output = coded.main.outputs[0]
    value = (
        int(runner.value(coded.main.tensors.index(output))[0, 4, 4, 2]) - output.quant.zero_point
    ) * output.quant.scale
    assert abs(value - 0.75) <= output.quant.scale


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(bad):
    net = Net()
    y = net.dense(net.reshape(net.input(*SHAPE), 1, 192), 2)
    weights = np.array(net.main.operators[1].inputs[1].data)
    weights[0, 0] = bad
    net.main.operators[1].inputs[1].data = weights
    graph = net.done(y)
    name = net.main.operators[1].inputs[1].name
    for tensor in [*graph.main.inputs, *graph.main.outputs, graph.main.operators[0].outputs[0]]:
        graph.ranges[tensor] = QuantParams(0.1)
    with pytest.raises(int8x.QuantizeError, match=f"its constant '{name}' holds NaN"):
        int8x.quantize(graph)


def test_one_constant_read_twice_is_stored_once_per_grid():
    net = Net()
    x = net.input(*SHAPE)
    kernel = net.constant(net.weights(3, 1, 1, 3))
    a = net.conv(x, 3, size=1)
    b = net.conv(a, 3, size=1)
    for op in net.main.operators:
        op.inputs[1] = kernel
    coded = int8x.quantize(net.done(b), data=SAMPLES)
    assert coded.main.operators[0].inputs[1] is coded.main.operators[1].inputs[1]


def before(kinds: tuple[str, ...], also_output: bool = False):
    """MEAN, which fuses no activation, read by one operator of each kind."""
    net = Net()
    x = net.input(1, 3, 4)
    axes = net.constant(np.array([1], np.int32))
    mean = net.add("MEAN", [x, axes], 1, 4, options="ReducerOptions", keepDims=False)
    results = [net.add(kind, [mean], 1, 4) for kind in kinds]
    graph = net.done(results[0])
    graph.main.outputs += [*results[1:], *([mean] if also_output else [])]
    return graph


@pytest.mark.parametrize(
    "kinds, wanted",
    [
        (("RELU",), (0.0, 9.0)),
        (("RELU6",), (0.0, 6.0)),
        (("RELU_0_TO_1",), (0.0, 1.0)),
        (("RELU", "RELU6"), (0.0, 9.0)),
        (("RELU_0_TO_1", "RELU6"), (0.0, 6.0)),
        (("RELU_N1_TO_1",), (-5.0, 9.0)),
        (("RELU", "TANH"), (-5.0, 9.0)),
    ],
)
def test_a_tensor_that_only_relus_read_has_no_steps_for_what_they_cut(kinds, wanted):
    data = np.linspace(-5, 9, 5 * 12, dtype=np.float32).reshape(5, 3, 4)
    data[:, 1:] = data[:, :1]  # so that the means reach both ends
    data[0, :, 0], data[-1, :, 3] = -5, 9
    coded = int8x.quantize(before(kinds), data=data)
    grid = coded.quantization.grids["mean0"]
    assert real_range(grid) == pytest.approx(wanted, abs=1.01 * grid.scale)
    if len(kinds) == 1:
        expected, got = (
            outputs(before(kinds), data, "AUTO"),
            outputs(coded, data, "BUILTIN_REF"),
        )
        # Half a step of the input and of the mean, a whole one of the result.
        grids = [coded.quantization.grids["x"], grid, coded.main.outputs[0].grid]
        assert np.abs(got - expected).max() <= sum(
            float(g.scale) * steps for g, steps in zip(grids, (0.5, 0.51, 1.01), strict=True)
        )


def test_a_tensor_that_is_read_elsewhere_keeps_its_negatives():
    data = np.linspace(-5, 9, 5 * 12, dtype=np.float32).reshape(5, 3, 4)
    grid = int8x.quantize(before(("RELU",), True), data=data).quantization.grids["mean0"]
    assert real_range(grid)[0] < -3


def test_statistics_without_a_tensor_are_like_none():
    stats = int8x.calibrate(small_network(), SAMPLES)
    holes = dataclasses.replace(stats, tensors={**stats.tensors, "conv_2d2": empty()})
    with pytest.raises(int8x.QuantizeError, match="no range is known for 'conv_2d2'"):
        int8x.quantize(small_network(), holes)


@pytest.mark.parametrize(("kind", "bound"), [("MINIMUM", 1e12), ("MAXIMUM", -1e12)])
def test_a_bound_that_nothing_reaches_stretches_no_grid(kind, bound):
    net = Net(0)
    x = net.input(1, 4, 4, 8)
    limit = net.constant(np.float32([bound]))
    graph = net.done(net.add(kind, [x, limit], *x.shape, options="MaximumMinimumOptions"))
    data = np.random.default_rng(0).uniform(-3, 5, (16, *x.shape[1:])).astype(np.float32)
    plain = int8x.Recipe(io="int8", observer="minmax")
    coded = int8x.quantize(graph, data=data, recipe=plain)
    grid = coded.main.outputs[0].quant
    assert grid.scale == pytest.approx((data.max() - data.min()) / 255, rel=1e-6)
    assert coded.main.operators[0].inputs[1].values.item() == (127 if bound > 0 else -128)
