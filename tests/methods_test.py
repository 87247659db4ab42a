"""What all accuracy methods share: samples kept, models walked over in pieces, what is left out and
why, and that a method which does not help is not used.
"""

import dataclasses
import itertools
import json

import int8x
import numpy as np
import pytest
from float_nets import Net, on_grid, small_network
from int8x.calibration.calibrator import calibrate_prepared
from int8x.data import input_specs
from int8x.methods import kept_samples, refinement
from int8x.methods.draft import Draft
from int8x.methods.kept_samples import KeptSamples, split
from int8x.methods.layers import find_layers, split_activations
from int8x.methods.pieces import Walk
from int8x.methods.scoring import Reference
from int8x.quantization import passes
from int8x.quantization.passes import prepare
from int8x.runtime.coding import as_input
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph
from uneven_nets import chain, images

SHAPE = (1, 8, 8, 3)
ALL = int8x.Recipe(equalize=True, range_search=True, adaround=True, bias_correction=True)


def specs():
    return input_specs(small_network())


@pytest.mark.parametrize("count", [1, 7, 8, 9, 100])
def test_kept_samples_are_few_and_evenly_spread(count):
    data = np.arange(count, dtype=np.float32)[:, None, None, None] * np.ones(SHAPE[1:], np.float32)
    kept = KeptSamples((sample for sample in data), specs(), limit=8)
    assert len(list(kept)) == count
    numbers = kept.numbers()
    assert [int(sample[0].flat[0]) for sample in kept.read()] == numbers
    assert len(numbers) <= 8 and (len(numbers) > 4 or count <= 4)
    assert len({b - a for a, b in itertools.pairwise(numbers)}) <= 1


def test_of_large_samples_fewer_are_kept(monkeypatch):
    size = 4 * 8 * 8 * 3
    for room, most in ((100 * size, 100), (size, 16)):
        monkeypatch.setattr(kept_samples, "ROOM", room)
        kept = KeptSamples(images(120), specs())
        assert len(list(kept)) == 120 and most / 2 < len(kept.kept) <= most


def test_samples_pass_unchanged_and_are_kept_in_the_same_pass():
    data, graph = on_grid(SHAPE, 12), prepare(small_network())
    kept = KeptSamples(iter(data), input_specs(graph))
    assert (
        calibrate_prepared(graph, kept, recipe=int8x.Recipe()).to_bytes()
        == int8x.calibrate(small_network(), data).to_bytes()
    )
    np.testing.assert_array_equal(np.concatenate([s[0] for s in kept.read()]), data)


def test_learning_and_judging_samples_are_apart():
    learned, judged = split([[np.array(i)] for i in range(10)])
    assert [int(s[0]) for s in judged] == [3, 7] and len(learned) == 8


def test_a_walk_gives_what_the_whole_model_gives():
    coded = int8x.quantize(small_network(), data=on_grid(SHAPE))
    samples = [[s[None]] for s in on_grid(SHAPE, 4)]
    walk, seen = Walk(coded, samples), {}
    for layer in find_layers(prepare(small_network()), coded):
        walk.until(layer.coded)
        seen[layer.coded_data] = [v.copy() for v in walk.value(layer.coded_data)]
    walk.finish()
    seen[coded.main.outputs[0]] = walk.value(coded.main.outputs[0])
    runner = Runner(coded.to_bytes(), "whole", 1, "BUILTIN_REF")
    for i, sample in enumerate(samples):
        runner.run([as_input(sample[0], coded.main.inputs[0])])
        for tensor, values in seen.items():
            whole = runner.value(coded.main.tensors.index(tensor)).copy()
            np.testing.assert_array_equal(values[i], whole)
    assert len(seen) == 6


def test_activations_split_off_leave_the_outputs_alone():
    graph = prepare(chain(0, 1.0))
    apart, places = split_activations(graph)
    sample = images(1)
    runners = [Runner(g.to_bytes(), "model", 1, "BUILTIN_REF") for g in (graph, apart)]
    ends = []
    for runner, g in zip(runners, (graph, apart), strict=True):
        runner.run([sample])
        ends.append(runner.value(g.main.tensors.index(g.main.outputs[0])).copy())
    np.testing.assert_array_equal(ends[0], ends[1])
    lowest = runners[1].value(places[graph.main.operators[0].name]).min()
    assert lowest < 0 and len(places) == 4


def test_statistics_alone_leave_out_what_needs_samples():
    stats = int8x.calibrate(small_network(), on_grid(SHAPE), recipe=ALL)
    coded = int8x.quantize(small_network(), stats, recipe=ALL)
    assert [(s.method, s.kept, s.note) for s in coded.quantization.methods] == [
        (name, False, "left out: it needs data")
        for name in ("range_search", "adaround", "bias_correction")
    ]
    equalized = dataclasses.replace(int8x.Recipe(), equalize=True)
    assert coded.to_bytes() == int8x.quantize(small_network(), stats, recipe=equalized).to_bytes()


def test_statistics_of_the_plain_model_do_not_serve_the_equalized_one():
    stats = int8x.calibrate(chain(0, 2.0), images(8))
    with pytest.raises(int8x.StatsError, match="belong to another model"):
        int8x.quantize(chain(0, 2.0), stats, recipe=int8x.Recipe(equalize=True))


def test_all_methods_together_help_and_give_equal_bytes():
    graph, data = chain(0, 2.0), images(96)
    once, again = (int8x.quantize(graph, data=data, recipe=ALL) for _ in range(2))
    assert once.to_bytes() == again.to_bytes()
    assert [s.method for s in once.quantization.methods] == ["equalize", *refinement.METHODS]
    unseen, name = images(64, 9), graph.main.outputs[0].name
    plain = int8x.quantize(graph, data=data, recipe="minmax")
    sqnr = [int8x.validate(graph, g, unseen).tensor(name).sqnr_db for g in (plain, once)]
    assert sqnr[1] > sqnr[0] + 10


def test_a_method_that_harms_is_tried_told_and_not_used(monkeypatch):
    def spoil(graph: Graph, draft: Draft, samples, progress) -> Graph:
        spoilt = graph.copy()
        bias = spoilt.main.operators[0].inputs[2]
        bias.data = bias.values + np.float32(1)
        return spoilt

    monkeypatch.setitem(refinement.METHODS, "bias_correction", spoil)
    recipe = int8x.Recipe(bias_correction=True)
    graph, data = chain(0, 0.5), images(32)
    coded = int8x.quantize(graph, data=data, recipe=recipe)
    step = coded.quantization.methods[0]
    assert not step.kept and step.after < step.before
    assert step.note.startswith("left out: output SQNR")
    assert coded.to_bytes() == int8x.quantize(graph, data=data, recipe="minmax").to_bytes()


def test_equalization_is_kept_where_outputs_come_closer_and_left_out_where_not(monkeypatch):
    def spoil(graph: Graph, recipe: int8x.Recipe) -> None:
        if recipe.equalize is True:
            bias = graph.main.operators[0].inputs[2]
            bias.data = bias.values + np.float32(1)

    graph, data = chain(0, 2.0), iter(images(32))
    coded = int8x.quantize(graph, data=data)
    step = coded.quantization.methods[0]
    assert step.method == "equalize" and step.kept and step.after > step.before + 3
    assert coded.quantization.recipe.equalize is True
    report = int8x.validate(
        graph, coded, images(4)
    )  # the recipe tells how to prepare the float net
    assert not report.notes and len(report.operators) == len(coded.main.operators)
    monkeypatch.setattr(passes, "PASSES", [*passes.PASSES, spoil])
    graph = chain(0, 0.0)
    for wanted in (True, "if_better"):
        recipe = int8x.Recipe(equalize=wanted)
        coded = int8x.quantize(graph, data=images(32), recipe=recipe)
        step = coded.quantization.methods[0]
        assert not step.kept and step.note.startswith("left out: output SQNR")
        plain = int8x.quantize(graph, data=images(32), recipe="minmax")
        assert coded.to_bytes() == plain.to_bytes()


def test_the_default_recipe_takes_the_statistics_of_either_form():
    graph, data = chain(0, 2.0), images(32)
    plain = int8x.calibrate(graph, data)
    alone = int8x.quantize(graph, plain)
    assert [s.note for s in alone.quantization.methods] == ["left out: it needs data"] * 2
    whole = int8x.quantize(graph, data=data)
    assert int8x.quantize(graph, plain, data).to_bytes() == whole.to_bytes() != alone.to_bytes()
    even = int8x.calibrate(graph, data, recipe=int8x.Recipe(equalize=True))
    assert int8x.quantize(graph, even, data).to_bytes() == whole.to_bytes()
    assert [s.method for s in int8x.quantize(graph, even).quantization.methods] == [
        "bias_correction"
    ]


def test_methods_are_judged_by_logits_but_for_what_all_classes_share():
    def head(shift: float, last: bool = True) -> Graph:
        net = Net(1)
        y = net.dense(net.reshape(net.input(*SHAPE), 1, 192), 10)
        net.main.operators[-1].inputs[2].data = np.full(10, shift, np.float32)
        softmax = {"options": "SoftmaxOptions", "beta": 1.0}
        return prepare(net.done(net.add("SOFTMAX", [y], 1, 10, **softmax) if last else y))

    samples = [[s[None]] for s in images(16)]
    quantized = {}
    for shift in (0.0, 0.5):
        stats = calibrate_prepared(head(shift), samples, recipe=int8x.Recipe())
        quantized[shift] = Draft(int8x.Recipe(), stats).quantized(head(shift))
    reference = Reference(head(0.0), samples, logits=True)
    near, far = (reference.score(graph).sqnr_db for graph in quantized.values())
    assert reference.judged == "logit" and abs(near - far) < 3
    assert Reference(head(0.0), samples).score(quantized[0.0]).sqnr_db != near
    plain = Reference(head(0.0, last=False), samples, logits=True)
    assert plain.judged == "output"
    shifted = head(0.5, last=False)
    stats = calibrate_prepared(shifted, samples, recipe=int8x.Recipe())
    assert plain.score(Draft(int8x.Recipe(), stats).quantized(shifted)).sqnr_db < near - 6


def test_the_model_without_weights_has_nothing_to_learn():
    net = Net()
    x = net.input(*SHAPE)
    graph = net.done(net.add("LOGISTIC", [x], *SHAPE))
    coded = int8x.quantize(graph, data=images(8), recipe=ALL)
    assert [op.kind for op in coded.main.operators] == ["LOGISTIC"]
    notes = {s.method: s.note for s in coded.quantization.methods}
    assert notes["adaround"] == notes["bias_correction"] == "found nothing to change"


@pytest.mark.parametrize("field", ["adaround", "bias_correction", "range_search"])
def test_a_switch_is_true_or_false(field):
    with pytest.raises(int8x.RecipeError, match=f"{field} must be true or false, got 1"):
        int8x.Recipe(**{field: 1})
    assert json.loads(int8x.Recipe().to_json())[field] is False
