"""AdaRound rounds weights so that outputs, not weights, are close; the file has exactly what it
learned.
"""

import dataclasses

import int8x
import numpy as np
import pytest
from float_nets import RELU, Net
from int8x.methods.adaround import learn_rounding
from int8x.methods.draft import Draft
from int8x.methods.rounding import Task, learn
from int8x.quantization.passes import prepare
from int8x.tflite.graph import Graph
from uneven_nets import SHAPE, chain, gaussian

PLAIN = int8x.Recipe(io="float")
ROUNDED = dataclasses.replace(PLAIN, adaround=True)


def smooth(samples: int, seed: int) -> np.ndarray:
    """Images whose neighbours are alike, as photographs' are."""
    random = np.random.default_rng(seed)
    coarse = random.normal(size=(samples, 3, 3, 3)).astype(np.float32)
    return np.ascontiguousarray(np.repeat(np.repeat(coarse, 3, 1), 3, 2)[:, :8, :8])


def noise(graph: Graph, coded: Graph, data: np.ndarray) -> float:
    report = int8x.validate(graph, coded, data)
    return 10 ** (-report.tensor(report.outputs[0]).sqnr_db / 10)


def grouped_conv(seed: int) -> Graph:
    net = Net(seed)
    y = net.conv(net.input(*SHAPE), 8, activation=RELU)
    z = net.conv(y, 8, stride=2)
    net.main.operators[1].inputs[1].data = net.weights(8, 3, 3, 4)
    graph = net.done(z)
    gaussian(net)
    return graph


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("compute", ["int8", "int8_w4"])
def test_outputs_are_closer_than_by_nearest_on_unseen_samples(seed, compute):
    graph, data, unseen = chain(seed, 0.0), smooth(128, seed), smooth(64, seed + 100)
    recipe = dataclasses.replace(PLAIN, compute=compute)
    before, after = (
        noise(graph, int8x.quantize(graph, data=data, recipe=r), unseen)
        for r in (recipe, dataclasses.replace(recipe, adaround=True))
    )
    print(f"seed {seed}, {compute}: {10 * np.log10(before / after):.2f} dB")
    assert after < before


def test_grouped_and_strided_convolutions_are_learned_too():
    graph, data, unseen = grouped_conv(0), smooth(128, 0), smooth(64, 9)
    recipe = dataclasses.replace(PLAIN, compute="int8_w4")
    before, after = (
        noise(graph, int8x.quantize(graph, data=data, recipe=r), unseen)
        for r in (recipe, dataclasses.replace(recipe, adaround=True))
    )
    assert after < before


def test_every_weight_goes_to_one_of_its_neighbours_and_zeros_stay():
    graph, data = chain(0, 0.5), smooth(64, 0)
    for op in graph.main.operators:
        if len(op.inputs) == 3:
            values = op.inputs[1].values.copy()
            values.reshape(-1)[::4] = 0
            op.inputs[1].data = values
    prepared = prepare(graph.copy())
    coded = int8x.quantize(graph, data=data, recipe=ROUNDED)
    moved = 0
    weighted = [op for op in coded.main.operators if len(op.inputs) == 3]
    plain = [op for op in prepared.main.operators if len(op.inputs) == 3]
    for op, original in zip(weighted, plain, strict=True):
        grid, axis = op.inputs[1].quant, op.inputs[1].quant.axis
        shape = [-1 if a == axis else 1 for a in range(len(op.inputs[1].shape))]
        steps = original.inputs[1].values / grid.scales.reshape(shape)
        assert np.all(np.abs(op.inputs[1].data - steps) < 1)
        assert not np.any(op.inputs[1].data[original.inputs[1].values == 0])
        moved += np.count_nonzero(op.inputs[1].data != np.round(steps))
    assert moved


def test_the_rounded_floats_lie_on_the_grid_that_is_lowered():
    graph, data = chain(1, 0.0), smooth(32, 1)
    stats = int8x.calibrate(graph, data)
    draft = Draft(PLAIN, stats)
    rounded = learn_rounding(prepare(graph.copy()), draft, [[s[None]] for s in data])
    coded = draft.quantized(rounded)
    pairs = zip(
        [op for op in rounded.main.operators if len(op.inputs) == 3],
        [op for op in coded.main.operators if len(op.inputs) == 3],
        strict=True,
    )
    for op, made in pairs:
        grid = op.inputs[1].range
        assert grid.source == "adaround"
        assert made.inputs[1].quant.same_grid(grid)
        shape = [-1 if a == grid.axis else 1 for a in range(len(op.inputs[1].shape))]
        real = (made.inputs[1].data * grid.scales.reshape(shape)).astype(np.float32)
        np.testing.assert_array_equal(real, op.inputs[1].values)


def test_scales_that_training_gave_are_left_alone():
    graph, data = chain(2, 0.0), smooth(32, 2)
    first = graph.main.operators[0].inputs[1]
    graph.ranges[first] = int8x.QuantParams(np.full(16, 0.02), 0, axis=0, source="qat")
    plain, rounded = (int8x.quantize(graph, data=data, recipe=r) for r in (PLAIN, ROUNDED))
    a, b = (g.main.operators[1].inputs[1] for g in (plain, rounded))
    np.testing.assert_array_equal(a.data, b.data)
    assert b.quant.source == "qat"


def test_an_output_that_does_not_gain_on_unseen_rows_keeps_its_nearest_rounding():
    """Rows to learn from and rows to judge by that want the opposite."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(1, 64, 16)).astype(np.float32)
    weights = (random.uniform(-20, 20, (1, 4, 16)) * 0.1).astype(np.float32)
    scales = np.full((1, 4, 1), 0.1, np.float32)
    bias = np.zeros((1, 1, 4), np.float32)
    wanted = inputs @ weights.transpose(0, 2, 1)
    wanted[:, :48] += random.normal(0, 1, (1, 48, 4)) + 3
    task = Task(inputs, wanted, weights, scales, bias, -np.inf, np.inf, 127, 48)
    learned = learn(task, 200, 0.1)
    judged = slice(48, 64)
    assert np.all(task.errors(learned, judged) <= task.errors(task.nearest(), judged))


def test_equal_inputs_give_equal_bytes():
    once, again = (
        int8x.quantize(chain(0, 0.0), data=smooth(32, 0), recipe=ROUNDED).to_bytes()
        for _ in range(2)
    )
    assert once == again
