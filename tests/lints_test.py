"""Each lint finds what it is for, in a model that has only that; sound models have no finding."""

import dataclasses
from collections.abc import Callable

import int8x
import numpy as np
import pytest
from float_nets import NONE, RELU, Net, on_grid, small_network
from int8x.lints import LINTS, find
from int8x.tflite.graph import Graph
from int8x.tflite.quant_params import QuantParams
from int8x.tflite.subgraph import Operator, Tensor

SHAPE = (1, 8, 8, 3)


def regrid(tensor: Tensor, factor: float = 1.0, **fields) -> None:
    scale = np.asarray(tensor.grid.scales) * factor
    fields.setdefault("scale", scale if len(scale) > 1 else float(scale[0]))
    tensor.quant = dataclasses.replace(tensor.grid, **fields)


def small(recipe: int8x.Recipe | str = "int8") -> Graph:
    return int8x.quantize(small_network(), data=on_grid(SHAPE), recipe=recipe)


def of(graph: Graph, kind: str) -> Operator:
    return next(op for op in graph.main.operators if op.kind == kind)


def one(build: Callable[[Net, Tensor], Tensor], *shape: int, allow_float: bool = False) -> Graph:
    """A quantized model of one input and what `build` makes of it."""
    net = Net()
    x = net.input(*shape)
    recipe = int8x.Recipe(allow_float=allow_float)
    return int8x.quantize(net.done(build(net, x)), data=on_grid(shape), recipe=recipe)


def bias_scale() -> Graph:
    graph = small()
    regrid(of(graph, "CONV_2D").inputs[2], 0.503)
    return graph


def bias_scale_refused() -> Graph:
    graph = small(int8x.Recipe(weights="per_tensor"))
    dense = of(graph, "FULLY_CONNECTED")
    regrid(dense.inputs[2], scale=dense.outputs[0].grid.scale)
    return graph


def bias_grid() -> Graph:
    graph = small()
    regrid(of(graph, "CONV_2D").inputs[2], zero_point=3)
    return graph


def channel_axis() -> Graph:
    graph = small()
    square = next(op for op in graph.main.operators if op.inputs[1].shape == (8, 1, 1, 8))
    regrid(square.inputs[1], axis=3)
    return graph


def channels_of_an_activation() -> Graph:
    graph = one(lambda net, x: net.add("RELU", [x], 1, 4), 1, 4)
    regrid(graph.main.outputs[0], scale=[0.5, 1.0, 0.5, 1.0], axis=1)
    return graph


def weight_zero_point() -> Graph:
    graph = small()
    regrid(of(graph, "DEPTHWISE_CONV_2D").inputs[1], zero_point=1)
    return graph


def weight_range() -> Graph:
    graph = small()
    weights, bias = of(graph, "CONV_2D").inputs[1:]
    weights.data = weights.values // 3
    for tensor in (weights, bias):
        regrid(tensor, 3)
    return graph


def channel_scale_spread() -> Graph:
    graph = small()
    for tensor in of(graph, "CONV_2D").inputs[1:]:
        scales = tensor.grid.scales.copy()
        scales[0] *= 5e-4
        regrid(tensor, scale=scales)
    return graph


def missing_bias() -> Graph:
    graph = small()
    of(graph, "DEPTHWISE_CONV_2D").inputs[2] = None
    return graph


def unequal_scales() -> Graph:
    graph = one(lambda net, x: net.reshape(x, 1, 2, 2), 1, 4)
    regrid(graph.main.outputs[0], 1.5)
    return graph


def fixed_output() -> Graph:
    graph = small()
    regrid(graph.main.outputs[0], scale=1 / 128)
    return graph


def int16_zero_point() -> Graph:
    graph = one(lambda net, x: net.add("RELU", [x], 1, 4), 1, 4)
    for tensor in (graph.main.inputs[0], graph.main.outputs[0]):
        tensor.dtype, tensor.quant = "INT16", QuantParams(1e-3, 0, bits=16)
    regrid(graph.main.outputs[0], zero_point=5)
    return graph


def output_scale_too_small() -> Graph:
    graph = one(lambda net, x: net.binary("ADD", x, x), 1, 4)
    regrid(graph.main.outputs[0], scale=1e-9)
    return graph


def multiplier_too_large() -> Graph:
    graph = one(lambda net, x: net.dense(x, 4), 1, 4)
    regrid(graph.main.outputs[0], 1e-6)
    return graph


def hard_swish_too_fine() -> Graph:
    graph = one(lambda net, x: net.add("HARD_SWISH", [x], 1, 4), 1, 4)
    regrid(graph.main.outputs[0], 1e-4)
    return graph


def unused_negatives() -> Graph:
    graph = one(lambda net, x: net.dense(net.dense(x, 8, activation=RELU), 4), 1, 4)
    regrid(graph.main.operators[0].outputs[0], zero_point=0)
    return graph


def negatives_that_relu_cuts() -> Graph:
    def build(net: Net, x: Tensor) -> Tensor:
        axes = net.constant(np.array([1], np.int32))
        mean = net.add("MEAN", [x, axes], 1, 4, options="ReducerOptions", keepDims=False)
        return net.add("RELU", [mean], 1, 4)

    graph = one(build, 1, 6, 4)
    regrid(graph.main.operators[0].outputs[0], zero_point=0)
    return graph


def float_island() -> Graph:
    return one(
        lambda net, x: net.dense(net.add("FLOOR", [net.dense(x, 4)], 1, 4), 4),
        *(1, 4),
        allow_float=True,
    )


def missed_fusion() -> Graph:
    graph = one(lambda net, x: net.dense(x, 4, activation=RELU), 1, 4)
    dense = graph.main.operators[0]
    dense.options.fusedActivationFunction = NONE
    inner = graph.main.add_tensor("inner", (1, 4), "INT8", quant=dense.outputs[0].grid)
    graph.main.add_operator("RELU", [inner], dense.outputs, version=2)
    dense.outputs = [inner]
    return graph


def inserted(*kinds: str, factor: float = 1.0) -> Graph:
    """RELU, and after it conversions of these kinds."""
    graph = one(lambda net, x: net.add("RELU", [x], 1, 4), 1, 4)
    tensor = graph.main.outputs[0]
    for number, kind in enumerate(kinds):
        made = graph.main.add_tensor(f"made{number}", (1, 4))
        if kind == "QUANTIZE":
            grid = dataclasses.replace(graph.main.outputs[0].grid)
            made.dtype, made.quant = "INT8", dataclasses.replace(grid, scale=grid.scale * factor)
        graph.main.add_operator(kind, [tensor], [made], version=2 if kind == "DEQUANTIZE" else 1)
        tensor = made
    graph.main.outputs = [tensor]
    graph.signatures = []
    return graph


def needless_conversion() -> Graph:
    return inserted("QUANTIZE")


def to_float_and_back() -> Graph:
    return inserted("DEQUANTIZE", "QUANTIZE", factor=2.0)


def to_integers_and_back() -> Graph:
    net = Net()
    x = net.input(1, 4)
    coded = net.main.add_tensor("coded", (1, 4), "INT8", quant=QuantParams(0.5, 0))
    result = net.main.add_tensor("result", (1, 4))
    net.main.add_operator("QUANTIZE", [x], [coded])
    net.main.add_operator("DEQUANTIZE", [coded], [result], version=2)
    return net.done(result)


def version_too_high() -> Graph:
    graph = small()
    of(graph, "FULLY_CONNECTED").version = 12
    return graph


def wide_softmax() -> Graph:
    return one(
        lambda net, x: net.add("SOFTMAX", [x], 1, 600, options="SoftmaxOptions", beta=1.0), 1, 600
    )


BROKEN = {
    bias_scale: {"bias-scale"},
    bias_scale_refused: {"bias-scale", "bias-scale-refused"},
    bias_grid: {"bias-grid"},
    channel_axis: {"channel-axis"},
    channels_of_an_activation: {"channel-axis"},
    weight_zero_point: {"weight-zero-point"},
    weight_range: {"weight-range"},
    channel_scale_spread: {"channel-scale-spread"},
    missing_bias: {"missing-bias"},
    unequal_scales: {"unequal-scales"},
    fixed_output: {"fixed-output"},
    int16_zero_point: {"int16-zero-point"},
    output_scale_too_small: {"output-scale-too-small"},
    multiplier_too_large: {"output-scale-too-small"},
    hard_swish_too_fine: {"output-scale-too-small"},
    unused_negatives: {"unused-negatives"},
    negatives_that_relu_cuts: {"unused-negatives"},
    float_island: {"float-island"},
    missed_fusion: {"missed-fusion"},
    needless_conversion: {"needless-conversion"},
    to_float_and_back: {"needless-conversion"},
    to_integers_and_back: {"needless-conversion"},
    version_too_high: {"version-too-high"},
    wide_softmax: {"wide-softmax"},
}


@pytest.mark.parametrize("build", BROKEN, ids=lambda build: build.__name__)
def test_a_broken_model_has_that_finding_and_no_other(build):
    graph = build()
    found = find(Graph.from_bytes(graph.to_bytes()))
    assert {f.lint for f in found} == BROKEN[build]
    for finding in found:
        assert finding.kind == graph.main.operators[finding.operator].kind
        named = [t.name for t in graph.main.tensors]
        assert finding.tensor in named and finding.wanted and finding.came
        assert finding.severity in ("error", "warning", "note") and finding.lint in str(finding)


def test_every_lint_has_a_broken_model():
    assert {lint.name for lint in LINTS} == set().union(*BROKEN.values())
    assert len({lint.name for lint in LINTS}) == len(LINTS)


@pytest.mark.parametrize("io", ["int8", "uint8", "float"])
@pytest.mark.parametrize("weights", ["per_channel", "per_tensor"])
def test_what_int8x_makes_has_no_finding(io, weights):
    assert find(small(int8x.Recipe(io=io, weights=weights))) == ()


def test_int16_activations_have_no_finding():
    assert find(small("int16x8")) == ()


def test_a_float_model_has_no_finding():
    assert find(small_network()) == ()


def test_damaged_models_are_looked_at_or_refused():
    random, looked_at = np.random.default_rng(3), 0
    contents = [small().to_bytes(), float_island().to_bytes(), small("int16x8").to_bytes()]
    for number in range(600):
        content = np.frombuffer(contents[number % 3], np.uint8).copy()
        places = random.integers(0, len(content), random.integers(1, 12))
        content[places] = random.choice([0, 1, 127, 255, 3], len(places))
        try:
            graph = Graph.from_bytes(content.tobytes())
        except int8x.ModelError:
            continue
        with np.errstate(all="ignore"):
            find(graph)
        looked_at += 1
    assert looked_at > 50


def test_a_finding_says_what_was_wanted_and_what_came():
    (finding,) = find(bias_scale())
    graph = bias_scale()
    convolution = of(graph, "CONV_2D")
    wanted = convolution.inputs[0].grid.scale * convolution.inputs[1].grid.scales
    assert finding.tensor == convolution.inputs[2].name and finding.operator == 0
    assert finding.wanted.startswith("scale ") and "in channel" in finding.wanted
    assert float(finding.wanted.split()[1]) in [float(f"{w:.6g}") for w in wanted]
    assert finding.came.endswith("0.503 times that")
    assert str(finding).startswith("error bias-scale: operator 0, CONV_2D, ")


def test_a_bias_of_zeros_is_one_at_any_scale():
    graph = bias_scale()
    bias = of(graph, "CONV_2D").inputs[2]
    bias.data = np.zeros_like(bias.values)
    assert find(graph) == ()


def test_a_channel_whose_bias_needs_the_scale_does_not_waste_its_range():
    graph = weight_range()
    weights, bias = of(graph, "CONV_2D").inputs[1:]
    bias.data = np.full_like(bias.values, 2**29)
    assert find(graph) == ()
    bias.data = np.where(np.arange(bias.size) == 0, 5, bias.values).astype(np.int32)
    (finding,) = find(graph)
    assert finding.came.startswith(f"1 of {len(weights.grid.scales)} channels stay at or below 63")


def test_a_grid_shared_with_negatives_is_spared():
    def build(net: Net, x: Tensor) -> Tensor:
        return net.concat([net.dense(x, 4, activation=RELU), net.dense(x, 4)])

    graph = one(build, 1, 4)
    shared = graph.main.outputs[0].grid
    for tensor in of(graph, "CONCATENATION").inputs:
        tensor.quant = shared
    graph.main.operators = [op for op in graph.main.operators if op.kind != "QUANTIZE"]
    dense = [op for op in graph.main.operators if op.kind == "FULLY_CONNECTED"]
    of(graph, "CONCATENATION").inputs = [op.outputs[0] for op in dense]
    for op in dense:
        op.outputs[0].quant = shared
    graph.compact()
    assert shared.zero_point > -64 and find(graph) == ()
