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
from int8x.methods import refinement
from int8x.methods.coding import as_input
from int8x.methods.draft import Draft
from int8x.methods.kept_samples import KeptSamples, split
from int8x.methods.layers import find_layers, split_activations
from int8x.methods.pieces import RESOLVER, Walk
from int8x.quantization.passes import prepare
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
    runner = Runner(coded.to_bytes(), "whole", 1, RESOLVER)
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
    assert [s.method for s in once.quantization.methods] == list(refinement.METHODS)
    unseen, name = images(64, 9), graph.main.outputs[0].name
    plain = int8x.quantize(graph, data=data)
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
    assert coded.to_bytes() == int8x.quantize(graph, data=data).to_bytes()


def test_the_model_without_weights_has_nothing_to_learn():
    net = Net()
    x = net.input(*SHAPE)
    graph = net.done(net.add("LOGISTIC", [x], *SHAPE))
    coded = int8x.quantize(graph, data=images(8), recipe=ALL)
    assert [op.kind for op in coded.main.operators] == ["LOGISTIC"]
    notes = {s.method: s.note for s in coded.quantization.methods}
    assert notes["adaround"] == notes["bias_correction"] == "found nothing to change"


@pytest.mark.parametrize("field", ["equalize", "adaround", "bias_correction", "range_search"])
def test_a_switch_is_true_or_false(field):
    with pytest.raises(int8x.RecipeError, match=f"{field} must be true or false, got 1"):
        int8x.Recipe(**{field: 1})
    assert json.loads(int8x.Recipe().to_json())[field] is False
