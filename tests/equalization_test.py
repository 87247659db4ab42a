"""equalize evens out channels, changes nothing that the model computes, and keeps zeros."""

import int8x
import numpy as np
import pytest
from float_nets import NONE, RELU, RELU6, Net, small_network
from int8x.quantization.passes import prepare
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph
from uneven_nets import SHAPE, chain, gaussian, images, rescale

GAIN_DB = 6.0
# Each scaled weight is rounded once, by 2^-24 of itself; four layers of at most 432 terms.
TOLERANCE = 4 * 432 * 2.0**-24
ON = int8x.Recipe(equalize=True)


def outputs(graph: Graph, data: np.ndarray) -> np.ndarray:
    runner = Runner(graph.to_bytes(), "model", 1, "BUILTIN_REF")
    place = graph.main.tensors.index(graph.main.outputs[0])
    found = []
    for sample in data:
        runner.run([sample[None]])
        found.append(runner.value(place).copy())
    return np.concatenate(found)


def pair(graph: Graph) -> tuple[Graph, Graph]:
    """Prepared without and with equalization."""
    return prepare(graph.copy()), prepare(graph.copy(), ON)


def assert_same_function(graph: Graph, data: np.ndarray) -> None:
    plain, equalized = (outputs(g, data) for g in pair(graph))
    scale = np.abs(plain).max()
    assert np.abs(plain - equalized).max() <= TOLERANCE * scale * 4


def sqnr(graph: Graph, recipe: int8x.Recipe, seed: int) -> float:
    coded = int8x.quantize(graph, data=images(64, seed), recipe=recipe)
    report = int8x.validate(graph, coded, images(32, seed + 100))
    return report.tensor(report.outputs[0]).sqnr_db


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("weights", ["per_channel", "per_tensor"])
def test_uneven_channels_gain_more_than_6_db(seed, weights):
    graph = chain(seed, spread=2.5)
    plain = sqnr(graph, int8x.Recipe(weights=weights), seed)
    even = sqnr(graph, int8x.Recipe(weights=weights, equalize=True), seed)
    print(f"seed {seed}: {plain:.1f} to {even:.1f} dB")
    assert even > plain + GAIN_DB


@pytest.mark.parametrize("activation", [NONE, RELU, RELU6])
def test_the_float_function_stays(activation):
    assert_same_function(chain(5, spread=2.0, activation=activation), 5 * images(16))


def test_a_net_with_branches_keeps_its_function():
    graph = small_network()
    assert_same_function(graph, images(8))


def test_a_residual_sum_is_scaled_on_all_its_branches():
    net = Net(3)
    x = net.input(*SHAPE)
    a = net.conv(x, 8, size=1)
    b = net.conv(net.conv(a, 8, activation=RELU), 8, size=1)
    graph = net.done(net.conv(net.binary("ADD", a, b), 4))
    gaussian(net)
    op = net.main.operators
    factors = np.exp(np.linspace(-2, 2, 8))
    for writer in (op[0], op[2]):
        last = op[4].inputs[1].values.copy(), op[1].inputs[1].values.copy()
        rescale(writer, op[4], factors)
        op[4].inputs[1].data, op[1].inputs[1].data = last
    for reader in (op[4], op[1]):
        reader.inputs[1].data = (reader.inputs[1].values / factors).astype(np.float32)
    assert_same_function(graph, images(8))
    equalized = prepare(graph.copy(), ON)
    even = np.abs(equalized.main.operators[0].inputs[1].values).max(axis=(1, 2, 3))
    assert even.max() / even.min() < 5 < factors.max() / factors.min() / 5


def test_zero_weights_stay_zero():
    graph = chain(1, spread=2.0)
    for op in graph.main.operators:
        if len(op.inputs) == 3:
            values = op.inputs[1].values.copy()
            values.reshape(-1)[::3] = 0
            values[..., 0] = 0  # a dead channel: nothing reads it, or nothing makes it
            op.inputs[1].data = values
    plain, equalized = pair(graph)
    changed = 0
    for a, b in zip(plain.main.operators, equalized.main.operators, strict=True):
        if len(a.inputs) == 3:
            np.testing.assert_array_equal(a.inputs[1].values == 0, b.inputs[1].values == 0)
            changed += not np.array_equal(a.inputs[1].values, b.inputs[1].values)
    assert changed == 4


def test_the_weights_before_and_behind_a_channel_end_up_alike():
    equalized = prepare(chain(2, spread=3.0), ON)
    first, second, third = [op for op in equalized.main.operators if len(op.inputs) == 3][:3]
    made = np.maximum(
        np.abs(first.inputs[1].values).max(axis=(1, 2, 3)), np.abs(first.inputs[2].values)
    )
    through = np.abs(second.inputs[1].values).max(axis=(0, 1, 2))
    read = np.abs(third.inputs[1].values).max(axis=(0, 1, 2))
    np.testing.assert_allclose(made, through, rtol=0.01)
    np.testing.assert_allclose(
        np.maximum(through, np.abs(second.inputs[2].values)), read, rtol=0.01
    )


def test_what_something_else_reads_is_left_alone():
    net = Net(4)
    y = net.conv(net.input(*SHAPE), 8, activation=RELU)
    z = net.add("LOGISTIC", [y], *y.shape)
    graph = net.done(net.conv(y, 4), z)
    plain, equalized = pair(graph)
    assert plain.to_bytes() == equalized.to_bytes()


def test_given_ranges_are_left_alone():
    graph = chain(0, spread=2.0)
    for op in graph.main.operators:
        graph.ranges[op.outputs[0]] = int8x.QuantParams(0.1, 0)
    plain, equalized = pair(graph)
    assert plain.to_bytes() == equalized.to_bytes()


def test_behind_relu6_only_what_stays_below_6_is_scaled():
    net = Net(6)
    a = net.add("LOGISTIC", [net.input(*SHAPE)], *SHAPE)
    b = net.conv(a, 6, size=1, activation=RELU6)
    graph = net.done(net.conv(b, 4, size=1))
    gaussian(net)
    conv = net.main.operators[1]
    weights = conv.inputs[1].values.copy()
    weights[:3], weights[3:] = 0.002 * np.abs(weights[:3]), 8 + np.abs(weights[3:])
    conv.inputs[1].data = weights
    conv.inputs[2].data = np.zeros(6, np.float32)
    plain, equalized = pair(graph)
    before, after = (g.main.operators[1].inputs[1].values for g in (plain, equalized))
    np.testing.assert_array_equal(before[3:], after[3:])
    assert np.all(np.abs(after[:3]) > 5 * np.abs(before[:3]))
    assert_same_function(graph, 20 * images(32))


@pytest.mark.parametrize("seed", range(3))
def test_channels_that_are_even_already_are_left_alone(seed):
    plain, equalized = pair(chain(seed, spread=0.0))
    assert plain.to_bytes() == equalized.to_bytes()


def test_without_the_switch_and_twice_over_nothing_moves():
    graph = chain(0, spread=2.0)
    off = prepare(graph.copy(), int8x.Recipe())
    assert off.fingerprint() == prepare(graph.copy()).fingerprint()
    once, again = (prepare(graph.copy(), ON) for _ in range(2))
    assert once.to_bytes() == again.to_bytes() != off.to_bytes()
