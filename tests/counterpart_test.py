"""validate finds what corresponds: by name, by structure, by the recipe; and says what does not."""

import dataclasses

import int8x
import numpy as np
import pytest
from float_nets import RELU, Net, on_grid, small_network
from int8x.quantization import passes
from int8x.quantization.passes import prepare
from int8x.quantization.recipe import resolve
from int8x.tflite.graph import Graph
from int8x.tflite.quant_params import QuantParams
from int8x.validation.comparison import compare_outputs
from uneven_nets import chain, images

SHAPE = (1, 8, 8, 3)
SAMPLES = on_grid(SHAPE)


def renamed(graph: Graph) -> Graph:
    """The same graph, no tensor of which has the name it had."""
    for number, tensor in enumerate(graph.main.tensors):
        tensor.name = f"other{number}"
    return graph


def twins(same_weights: bool) -> Graph:
    """Two convolutions of one input, alike but for their weights, and a third after one of them."""
    net = Net()
    x = net.input(*SHAPE)
    a = net.conv(x, 4, activation=RELU)
    b = net.conv(x, 4, activation=RELU)
    if same_weights:
        first, second = net.main.operators
        second.inputs[1:] = first.inputs[1:]
    return net.done(net.binary("SUB", net.conv(a, 2), net.conv(b, 2)))


def scale_channels(graph: Graph, recipe: int8x.Recipe) -> None:
    """A pass that equalizes, when the recipe bears that name: the first convolution's outputs are
    scaled by powers of two, the next operator takes it back.
    """
    if recipe.name != "scaled":
        return
    first, second = graph.main.operators[:2]
    factors = np.exp2(np.arange(first.outputs[0].shape[-1]) - 4.0).astype(np.float32)
    for op, at, by in ((first, 0, factors), (second, 3, 1 / factors)):
        shape = [1] * 4
        shape[at] = -1
        weights = op.inputs[1]
        op.inputs[1] = graph.main.add_constant(weights.name, weights.values * by.reshape(shape))
    bias = first.inputs[2]
    first.inputs[2] = graph.main.add_constant(bias.name, bias.values * factors)


def equalizable() -> Graph:
    net = Net()
    x = net.conv(net.input(*SHAPE), 8, activation=RELU)
    return net.done(net.conv(net.depthwise(x, activation=RELU), 4, size=1))


def test_names_do_not_matter_where_the_structure_is_the_same():
    coded = int8x.quantize(small_network(), data=SAMPLES)
    named = int8x.validate(small_network(), coded.copy(), SAMPLES)
    report = int8x.validate(small_network(), renamed(coded), SAMPLES)
    assert [t.sqnr_db for t in report.tensors] == [t.sqnr_db for t in named.tensors]
    assert [o.sqnr_db for o in report.operators] == [o.sqnr_db for o in named.operators]
    assert report.notes == ("tensors without a namesake, matched by structure: 11",)


def test_twins_are_told_apart_by_their_weights():
    coded = int8x.quantize(twins(False), data=SAMPLES)
    named = int8x.validate(twins(False), coded.copy(), SAMPLES)
    report = int8x.validate(twins(False), renamed(coded), SAMPLES)
    assert [t.sqnr_db for t in report.tensors] == [t.sqnr_db for t in named.tensors]


def test_twins_that_nothing_tells_apart_are_not_guessed_at():
    coded = renamed(int8x.quantize(twins(True), data=SAMPLES))
    report = int8x.validate(twins(True), coded, SAMPLES)
    assert [t.operator for t in report.tensors] == ["input", "SUB"]
    assert report.operators == () and report.verdict == "no operator could be compared"
    assert report.notes == (
        "only inputs and outputs were compared: no inner tensor could be matched",
    )


def test_a_float_model_with_other_weights_is_compared_at_the_outputs():
    coded = int8x.quantize(small_network(seed=1), data=SAMPLES)
    report = int8x.validate(small_network(seed=2), coded, SAMPLES)
    assert [t.operator for t in report.tensors] == ["input", "SOFTMAX"]
    (note,) = report.notes
    assert "only inputs and outputs were compared: the weights of" in note and "cosine" in note


def test_an_operator_answers_for_all_that_float_does_in_its_place():
    def relus(count: int) -> Graph:
        net = Net()
        x = net.input(1, 8)
        for _ in range(count):
            x = net.add("RELU", [x], 1, 8)
        x.name = "result"
        return net.done(net.add("SIN", [x], 1, 8))

    data = on_grid((1, 8))
    coded = int8x.quantize(relus(1), data=data, recipe=int8x.Recipe(allow_float=True))
    report = int8x.validate(relus(2), coded, data)
    assert [(o.kind, o.covers) for o in report.operators] == [
        ("RELU", 2),
        ("DEQUANTIZE", 1),
        ("SIN", 1),
        ("QUANTIZE", 1),
    ]
    assert report.notes[-1] == (
        "tensors of the float model without a counterpart, not compared: 1 of 3, the first is "
        "'relu0'"
    )


@pytest.fixture
def scaling(monkeypatch):
    monkeypatch.setattr(passes, "PASSES", [*passes.PASSES, scale_channels])


def test_the_recipe_beside_the_model_says_how_the_float_model_was_prepared(scaling, tmp_path):
    path = tmp_path / "model.int8.tflite"
    int8x.quantize(equalizable(), data=SAMPLES, recipe=int8x.Recipe(name="scaled")).save(path)
    report = int8x.validate(equalizable(), path, SAMPLES)
    assert len(report.tensors) == 4 and len(report.operators) == 3 and not report.notes
    assert min(t.sqnr_db for t in report.tensors) > 15


def test_without_its_recipe_an_equalized_model_is_compared_at_the_outputs(scaling):
    coded = int8x.quantize(equalizable(), data=SAMPLES, recipe=int8x.Recipe(name="scaled"))
    report = int8x.validate(equalizable(), coded.to_bytes(), SAMPLES)
    assert len(report.tensors) == 2 and "not those of the float model" in report.notes[0]
    told = int8x.validate(
        equalizable(), coded.to_bytes(), SAMPLES, recipe=int8x.Recipe(name="scaled")
    )
    assert len(told.tensors) == 4 and not told.notes


def test_weights_scaled_by_little_are_noticed_too():
    """Equalization by 3% per channel leaves the weights' cosine near 1."""
    plain, other = equalizable(), equalizable()
    first, second = other.main.operators[:2]
    for op, factor in ((first, 1.03), (second, 1 / 1.03)):
        weights = op.inputs[1]
        op.inputs[1] = other.main.add_constant(weights.name, weights.values * np.float32(factor))
    first.inputs[2] = other.main.add_constant("b", first.inputs[2].values * np.float32(1.03))
    coded = int8x.quantize(other, data=SAMPLES, recipe="minmax")
    report = int8x.validate(plain, coded, SAMPLES)
    assert len(report.tensors) == 2 and "cosine 1.000" in report.notes[0]


@pytest.mark.parametrize("weights", ["per_channel", "per_tensor"])
@pytest.mark.parametrize("name", ["int8_w4", "dynamic", "weight_only", "float16", "int16x8"])
def test_coarser_weights_and_float_activations_are_paired_all_the_same(name, weights):
    plain = resolve(name)
    if plain.compute in ("int8_w4", "dynamic", "weight_only"):
        plain = dataclasses.replace(plain, weights=weights)
    coded = int8x.quantize(small_network(), data=SAMPLES, recipe=plain)
    report = int8x.validate(small_network(), coded.to_bytes(), SAMPLES)
    assert report.notes == () and len(report.tensors) == 12 and len(report.operators) >= 11


def test_a_recipe_that_does_not_fit_is_left_aside(scaling, tmp_path):
    path = tmp_path / "model.int8.tflite"
    int8x.quantize(equalizable(), data=SAMPLES).save(path)
    beside = tmp_path / "model.int8.recipe.json"
    beside.write_text(int8x.Recipe(name="scaled").to_json())
    report = int8x.validate(equalizable(), path, SAMPLES)
    assert len(report.tensors) == 4 and "left aside" in report.notes[0]
    beside.write_text("not JSON")
    report = int8x.validate(equalizable(), path, SAMPLES)
    assert len(report.tensors) == 4 and "cannot be read" in report.notes[0]


def test_a_model_that_the_default_recipe_equalized_is_recognized_without_its_recipe():
    graph, data = chain(0, 2.0), images(32)
    coded = int8x.quantize(graph, data=data)
    assert coded.quantization.recipe.equalize is True
    report = int8x.validate(graph, coded.to_bytes(), data[:4])
    assert not report.notes and len(report.operators) == len(coded.main.operators)


def test_a_quantized_model_in_the_place_of_the_float_one_is_refused():
    coded = int8x.quantize(small_network(), data=SAMPLES)
    with pytest.raises(int8x.ModelError, match=r"this one is quantized: tensor .* is INT8"):
        int8x.validate(coded, coded, SAMPLES)


def test_a_float_model_with_the_markers_of_training_is_a_float_model():
    net = Net()
    y = net.conv(net.input(*SHAPE), 4, activation=RELU)
    coded = net.add("QUANTIZE", [y], *y.shape, options="QuantizeOptions", dtype="UINT8")
    coded.quant = QuantParams(0.05, 0)
    made = net.add("DEQUANTIZE", [coded], *y.shape, options="DequantizeOptions")
    marked = net.done(net.conv(made, 2))
    report = int8x.validate(marked, int8x.quantize(marked, data=SAMPLES), SAMPLES)
    assert report.notes == () and len(report.operators) == 2


def test_outputs_alone_are_compared_with_the_same_figures():
    coded = int8x.quantize(small_network(), data=SAMPLES)
    (figures,) = compare_outputs(prepare(small_network()), coded, SAMPLES)
    row = int8x.validate(small_network(), coded, SAMPLES).tensors[-1]
    assert figures.sqnr_db == row.sqnr_db and figures.steps == row.steps
