"""Rules of a recipe reach the operators and tensors that they name, in order, and what they cannot
reach is told.
"""

import int8x
import numpy as np
import pytest
from float_nets import Net, on_grid, small_network
from int8x.errors import RecipeError
from int8x.quantization.passes import prepare
from int8x.tflite.graph import Graph

SAMPLES = on_grid((1, 8, 8, 3))
# CONV_2D, DEPTHWISE_CONV_2D, CONV_2D, ADD, MAX_POOL_2D, AVERAGE_POOL_2D, CONV_2D, CONCATENATION,
# MEAN, FULLY_CONNECTED, SOFTMAX once prepared
KINDS = [op.kind for op in prepare(small_network()).main.operators]


def quantize(*rules: dict, **recipe) -> Graph:
    return int8x.quantize(small_network(), data=SAMPLES, recipe={**recipe, "overrides": rules})


def types(graph: Graph) -> list[tuple[str, str]]:
    """Kind and type of the first result, without conversions."""
    return [
        (op.kind, op.outputs[0].dtype)
        for op in graph.main.operators
        if op.kind not in ("QUANTIZE", "DEQUANTIZE")
    ]


@pytest.mark.parametrize(
    "rule, places",
    [
        ({"kind": "CONV_2D"}, [0, 2, 6]),
        ({"kind": "CONV_2D", "name": "*2"}, [2]),
        ({"name": "conv_2d?"}, [0, 2, 6]),
        ({"name": "*"}, range(11)),
        ({"index": 3}, [3]),
        ({"index": [0, 9]}, [0, 9]),
        ({"index": [0, 9], "kind": "FULLY_CONNECTED"}, [9]),
    ],
)
def test_each_key_narrows_what_a_rule_selects(rule, places):
    coded = quantize({**rule, "compute": "int16x8"})
    wanted = [(kind, "INT16" if i in places else "INT8") for i, kind in enumerate(KINDS)]
    assert sorted(types(coded)) == sorted(wanted)
    assert [dtype for _, dtype in types(coded)] == [dtype for _, dtype in wanted]


def test_later_rules_win():
    coded = quantize(
        {"name": "*", "compute": "float"},
        {"kind": "CONV_2D", "compute": "int16x8"},
        {"index": 6, "compute": "int8"},
        io="float",
    )
    found = [dtype for kind, dtype in types(coded) if kind == "CONV_2D"]
    assert found == ["INT16", "INT16", "INT8"]
    assert ("ADD", "FLOAT32") in types(coded)


def test_rules_that_change_nothing_give_the_same_bytes():
    plain = int8x.quantize(small_network(), data=SAMPLES, recipe="minmax").to_bytes()
    assert quantize({"name": "*", "compute": "int8", "weights": "per_channel"}).to_bytes() == plain
    assert quantize({"tensor": "*", "observer": "minmax"}).to_bytes() == plain


def test_an_operator_wanted_in_float_is_reported_and_no_refusal():
    coded = quantize({"kind": "SOFTMAX", "compute": "float"}, io="float")
    assert coded.quantization.float_operators == (
        ("softmax11", "SOFTMAX", "the recipe wants it so"),
    )
    assert types(coded)[-1] == ("SOFTMAX", "FLOAT32")


def test_a_float_rule_saves_what_has_no_int8_kernel():
    net = Net()
    y = net.conv(net.input(1, 8, 8, 3), 4)
    graph = net.done(net.add("SIN", [y], *y.shape))
    with pytest.raises(int8x.QuantizeError, match="SIN"):
        int8x.quantize(graph, data=SAMPLES)
    rule = {"kind": "SIN", "compute": "float"}
    coded = int8x.quantize(graph, data=SAMPLES, recipe={"io": "float", "overrides": [rule]})
    assert [op.kind for op in coded.main.operators] == ["QUANTIZE", "CONV_2D", "DEQUANTIZE", "SIN"]


def test_an_integer_rule_that_cannot_be_met_is_a_refusal():
    net = Net()
    y = net.conv(net.input(1, 8, 8, 3), 4)
    graph = net.done(net.add("HARD_SWISH", [y], *y.shape, options="HardSwishOptions"))
    recipe = {"overrides": [{"kind": "HARD_SWISH", "compute": "int16x8"}]}
    with pytest.raises(int8x.QuantizeError, match=r"HARD_SWISH '.*' \(TFLite has no int16 kernel"):
        int8x.quantize(graph, data=SAMPLES, recipe=recipe)
    coded = int8x.quantize(graph, data=SAMPLES, recipe={**recipe, "allow_float": True})
    assert [kind for _, kind, _ in coded.quantization.float_operators] == ["HARD_SWISH"]


def test_weights_are_per_tensor_where_a_rule_says_so():
    coded = quantize({"name": "conv_2d0", "weights": "per_tensor"})
    counts = [len(op.inputs[1].quant.scales) for op in coded.main.operators if op.kind == "CONV_2D"]
    assert counts[0] == 1 and all(count > 1 for count in counts[1:])


@pytest.mark.parametrize("select", [{"tensor": "*add3"}, {"kind": "ADD"}, {"index": 3}])
def test_a_range_is_the_grid_that_the_activation_gets(select):
    grid = quantize({**select, "range": [-2.0, 3.1]}).quantization.grids["add3"]
    assert grid.scale == np.float32(5.1 / 255) and grid.source == "range of the recipe"
    wide = quantize({"kind": "ADD", "compute": "int16x8", "range": [-2.0, 3.1]})
    assert wide.quantization.grids["add3"].scale == np.float32(3.1 / 32767)


def test_a_rules_range_comes_before_a_given_one():
    graph = small_network()
    graph.ranges["add3"] = int8x.QuantParams(0.75, 5, source="qat")
    recipe = {"overrides": [{"tensor": "add3", "range": [0, 255]}]}
    coded = int8x.quantize(graph, data=SAMPLES, recipe=recipe)
    assert coded.quantization.grids["add3"].scale == 1.0


def test_an_observer_is_chosen_for_some_tensors_alone():
    rule = {"tensor": "conv_2d[06]", "observer": "percentile", "percentile": 99.0}
    plain = int8x.quantize(small_network(), data=SAMPLES, recipe="minmax")
    coded = quantize(rule)
    before, after = plain.quantization.grids, coded.quantization.grids
    assert after["conv_2d0"].source == "percentile 99 of 8 samples"
    assert after["conv_2d0"].scale < before["conv_2d0"].scale
    assert after["conv_2d2"] == before["conv_2d2"]


def test_a_saved_recipe_gives_the_same_bytes_again(tmp_path):
    coded = quantize(
        {"kind": "CONV_2D", "compute": "int16x8"},
        {"index": [2, 9], "weights": "per_tensor"},
        {"tensor": "add*", "range": [-8, 8]},
        {"kind": "MEAN", "compute": "float"},
        io="uint8",
        observer="average",
    )
    coded.save(tmp_path / "m.tflite")
    again = int8x.quantize(
        small_network(), data=SAMPLES, recipe=str(tmp_path / "m.recipe.json")
    ).to_bytes()
    assert again == (tmp_path / "m.tflite").read_bytes()


@pytest.mark.parametrize(
    "rule, told",
    [
        (
            {"kind": "CONV_3D", "compute": "float"},
            "overrides.1.: no operator has kind 'CONV_3D'; there are '(DEPTHWISE_)?CONV_2D', ",
        ),
        ({"name": "conv*9", "compute": "float"}, "no operator has name 'conv.9'"),
        ({"kind": "ADD", "index": 0, "compute": "float"}, "no operator has kind 'ADD', index 0"),
        ({"index": 11, "compute": "float"}, "there is no operator 11: the prepared graph has 11"),
        ({"index": [0, 40], "compute": "float"}, "there is no operator 40"),
        (
            {"tensor": "kernel*", "range": [0, 1]},
            "no float activation is named 'kernel.'; there are '",
        ),
        (
            {"kind": "SOFTMAX", "range": [0, 2]},
            "the range of 'softmax11' cannot be chosen: TFLite fixes that of SOFTMAX",
        ),
    ],
)
def test_a_rule_that_reaches_nothing_is_told(rule, told):
    with pytest.raises(RecipeError, match=told):
        quantize({"kind": "ADD", "compute": "int8"}, rule)
