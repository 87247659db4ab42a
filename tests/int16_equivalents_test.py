"""PRELU, HARD_SWISH and SQUARED_DIFFERENCE, which have no usable int16 kernel, are computed at
int16 by operators that have one, unless a rule speaks of them.

The replaced forms add at most two float32 roundings of values up to 64, and at int16 at most one
step for each of up to four operators: of the gate's three, whose range is up to 11 where HARD_SWISH
needs 6, twice that.
"""

import int8x
import numpy as np
import pytest
from float_nets import Net
from float_operators import SHAPE, outputs
from int8x.quantization.passes import prepare
from int8x.tflite.graph import Graph
from uneven_nets import gaussian

TOLERANCE = 4 * 64 * 2.0**-24
STEPS = 8
SLOPES = np.float32([-0.5, 0.25, 1.0, 1.75])
KINDS = {
    "PRELU": ["RELU", "MINIMUM", "MUL", "ADD"],
    "HARD_SWISH": ["ADD", "RELU6", "MUL", "MUL"],
    "SQUARED_DIFFERENCE": ["SUB", "MUL"],
}
SAMPLES = np.random.default_rng(0).uniform(-6, 6, (8, *SHAPE[1:])).astype(np.float32)
WIDE = int8x.Recipe("int16x8")


def build(kind: str) -> Graph:
    net = Net()
    x = net.input(*SHAPE)
    if kind == "PRELU":
        return net.done(net.add(kind, [x, net.constant(SLOPES.reshape(1, 1, 4))], *SHAPE))
    if kind == "HARD_SWISH":
        return net.done(net.add(kind, [x], *SHAPE, options="HardSwishOptions"))
    other = net.constant(np.float32([0.5]))
    return net.done(net.add(kind, [x, other], *SHAPE, options="SquaredDifferenceOptions"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_replaced_operator_is_the_same_function_and_keeps_its_name(kind):
    graph = build(kind)
    made = prepare(graph.copy(), WIDE)
    assert [op.kind for op in made.main.operators] == KINDS[kind]
    assert made.main.outputs[0].name == graph.main.outputs[0].name
    expected, got = (outputs(g, SAMPLES, "BUILTIN_REF") for g in (graph, made))
    assert np.abs(expected - got).max() <= TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_at_int16_it_is_within_its_steps_of_float(kind):
    graph = build(kind)
    made = int8x.quantize(graph, data=SAMPLES, recipe=WIDE)
    assert not made.quantization.float_operators
    expected, got = outputs(graph, SAMPLES, "AUTO"), outputs(made, SAMPLES, "BUILTIN_REF")
    assert np.abs(expected - got).max() <= STEPS * made.main.outputs[0].quant.scale


@pytest.mark.parametrize("kind", KINDS)
def test_int8_keeps_the_operator_and_so_does_a_rule_for_it(kind):
    rule = {"kind": kind, "compute": "float"}
    recipe = {"name": "int16x8", "io": "float", "overrides": [rule]}
    for wanted in ("int8", recipe):
        assert [op.kind for op in prepare(build(kind), wanted).main.operators] == [kind]
    made = int8x.quantize(build(kind), data=SAMPLES, recipe=recipe)
    assert [k for _, k, _ in made.quantization.float_operators] == [kind]


def test_equalization_passes_through_the_replaced_prelu():
    net = Net(2)
    x = net.conv(net.input(1, 8, 8, 3), 8)
    y = net.add("PRELU", [x, net.constant(np.full((1, 1, 8), 0.25, np.float32))], *x.shape)
    graph = net.done(net.conv(y, 4))
    gaussian(net)
    first, last = net.main.operators[0], net.main.operators[2]
    factors = np.exp(np.linspace(-3, 3, 8)).astype(np.float32)
    first.inputs[1].data = first.inputs[1].values * factors[:, None, None, None]
    first.inputs[2].data = first.inputs[2].values * factors
    last.inputs[1].data = last.inputs[1].values / factors
    even = prepare(graph.copy(), int8x.Recipe("int16x8", equalize=True))
    reach = np.abs(even.main.operators[0].inputs[1].values).max(axis=(1, 2, 3))
    assert reach.max() / reach.min() < 5
    data = np.random.default_rng(1).normal(size=(4, 8, 8, 3)).astype(np.float32)
    expected, got = (outputs(g, data, "BUILTIN_REF") for g in (graph, even))
    assert np.abs(expected - got).max() <= 72 * 2.0**-20 * np.abs(expected).max()
