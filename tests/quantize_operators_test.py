"""Each operator alone, full int8, under the reference kernels: within the derived bound of the
float result.

The input and the weights lie on their grids already, so the int8 model differs from the float one
by rounding its result once,
by the rounding of the bias, and by what fixed point loses: at most one step of the output, plus
half a step of the bias. Where an input's grid is not its own (CONCATENATION) or a constant is
rounded (ADD, MUL), half a step of that is added.
"""

import int8x
import numpy as np
import pytest
from float_nets import Net, on_grid
from float_operators import CASES, SHAPE, build, outputs
from int8x.tflite.graph import Graph
from int8x.tflite.schema import make


@pytest.mark.parametrize("name", CASES)
def test_the_int8_operator_is_within_its_bound_of_the_float_one(name):
    graph, samples = build(name)
    coded = int8x.quantize(graph, data=samples, recipe="minmax")  # nothing is clipped
    assert not [t for t in coded.main.tensors if t.is_float]
    expected, got = outputs(graph, samples, "AUTO"), outputs(coded, samples, "BUILTIN_REF")
    result = coded.main.outputs[0]
    bias = max(
        (
            t.quant.scales.max()
            for op in coded.main.operators
            for t in op.inputs
            if t is not None and t.dtype == "INT32" and t.quant is not None
        ),
        default=0,
    )
    bound = CASES[name][1] * result.quant.scale + bias / 2 + 1e-5 * np.abs(expected).max()
    # What lies beyond the output's grid saturates, as it must.
    low, high = ((q - result.quant.zero_point) * result.quant.scale for q in (-128, 127))
    assert np.abs(got - np.clip(expected, low, high)).max() <= bound
    assert np.abs(np.clip(expected, low, high) - expected).max() <= result.quant.scale + 1e-6
    assert coded.main.operators[-1].version == CASES[name][2]


@pytest.mark.parametrize("name", CASES)
def test_the_default_kernels_load_it_too(name):
    graph, samples = build(name)
    outputs(int8x.quantize(graph, data=samples), samples[:1], "AUTO")


@pytest.mark.parametrize("io, dtype", [("int8", "INT8"), ("uint8", "UINT8"), ("float", "FLOAT32")])
def test_inputs_and_outputs_have_the_type_the_recipe_says_and_their_old_names(io, dtype):
    graph, samples = build("CONV_2D")
    coded = int8x.quantize(graph, data=samples, recipe=int8x.Recipe(io=io))
    for before, after in zip(
        [*graph.main.inputs, *graph.main.outputs],
        [*coded.main.inputs, *coded.main.outputs],
        strict=True,
    ):
        assert (after.name, after.dtype) == (before.name, dtype)
    again = Graph.from_bytes(coded.to_bytes())
    assert again.signatures[0].outputs[0].tensorIndex is again.main.outputs[0]
    assert again.signatures[0].inputs[0].tensorIndex is again.main.inputs[0]
    reference = int8x.quantize(graph, data=samples, recipe="minmax")
    np.testing.assert_allclose(
        outputs(again, samples, "BUILTIN_REF"),
        outputs(reference, samples, "BUILTIN_REF"),
        rtol=1e-6,
    )


@pytest.mark.parametrize("weights, scales", [("per_channel", 5), ("per_tensor", 1)])
def test_weights_have_one_scale_per_channel_or_one(weights, scales):
    graph, samples = build("CONV_2D")
    coded = int8x.quantize(graph, data=samples, recipe=int8x.Recipe(weights=weights))
    kernel, bias = coded.main.operators[-1].inputs[1:]
    assert len(kernel.quant.scales) == len(bias.quant.scales) == scales
    assert kernel.data.min() >= -127 and not np.any(kernel.quant.zero_points)
    product = np.float64(coded.main.inputs[0].quant.scale) * kernel.quant.scales.astype(np.float64)
    np.testing.assert_array_equal(bias.quant.scales, product.astype(np.float32))


def test_the_versions_come_from_what_the_operator_holds():
    net = Net()
    x = net.input(*SHAPE)
    graph = net.done(net.binary("MUL", net.binary("MUL", x, x), net.constant(np.float32([100.0]))))
    graph.main.outputs[0].range = int8x.QuantParams(0.001, 0)
    coded = int8x.quantize(graph, data=on_grid(SHAPE))
    assert [op.version for op in coded.main.operators] == [
        2,
        3,
    ]  # 3: product of the input scales above the output's


def test_integer_operators_are_left_alone():
    net = Net()
    x, index = net.input(*SHAPE), net.input(1, name="index")
    index.dtype = "INT32"
    doubled = net.add("ADD", [index, index], 1, dtype="INT32", options="AddOptions")
    picked = net.add("GATHER", [x, doubled], 1, 6, 6, 1, options="GatherOptions", axis=3)
    graph = net.done(picked)
    data = {"x": on_grid(SHAPE), "index": np.zeros((8, 1), np.int32)}
    coded = int8x.quantize(graph, data=data)
    assert [(op.kind, op.version) for op in coded.main.operators] == [("ADD", 1), ("GATHER", 2)]
    assert coded.main.inputs[1].dtype == "INT32"
    assert make("AddOptions").fusedActivationFunction == 0
