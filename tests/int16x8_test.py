"""int16x8: each operator alone, int16 activations over int8 weights and an int64 bias, within the
derived bound of the float result under the reference kernels.

Inputs lie on the int16 grid and weights on their int8 grids, so what differs is the result's one
rounding (half a step), the rounding of constant operands, and what the kernels' fixed point loses:
- a multiplier of 16 bits (convolutions, BATCH_MATMUL): relative 2^-15, one step at full range;
- two-stage rounding of ADD, SUB, MUL, means and rescales: half a step;
- tables with interpolation: LOGISTIC and TANH over 1/24, SOFTMAX and GELU over 1/512 of a range;
- RESIZE_BILINEAR counts coordinates in 1/1024: about 32767 / 1024 steps an axis, more when they add
  up over the columns.
"""

import int8x
import numpy as np
import pytest
from float_operators import CASES, MORE, SHAPE, build, outputs
from int8x.quantization.precision_rules import INT16
from int8x.quantization.rules import RULES

STEP = 1 / 4096
SAMPLES = 4
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "BATCH_MATMUL", "FULLY_CONNECTED")
STEPS = {
    "LOGISTIC": 2,
    "TANH": 4,
    "SOFTMAX": 8,  # two tables, and a sum of entries that are each rounded
    "GELU": 2,
    "EXP": 6,  # e^1 times the steps of a TANH
    "RESIZE_BILINEAR": 128,
    "RESIZE_BILINEAR corners": 512,
}
ALL = [*CASES, *MORE]
KINDS = {name: name.split(" ")[0].replace(",", "") for name in ALL}
TAKEN = [name for name in ALL if KINDS[name] in INT16]
REPLACED = ("PRELU", "HARD_SWISH", "SQUARED_DIFFERENCE")  # int16_equivalents_test.py
REFUSED = [name for name in ALL if KINDS[name] not in (*INT16, *REPLACED)]


def on_int16_grid() -> np.ndarray:
    """Samples k * STEP, with k = 32767 among them: minmax finds exactly the grid of that scale."""
    steps = np.random.default_rng(0).integers(-32767, 32768, (SAMPLES, *SHAPE[1:]))
    steps.reshape(-1)[0] = 32767
    return (steps * np.float32(STEP)).astype(np.float32)


@pytest.fixture(scope="module", params=TAKEN)
def coded(request):
    """Name, float graph, its int16x8 form and the samples."""
    graph, samples = build(request.param)[0], on_int16_grid()
    return request.param, graph, int8x.quantize(graph, data=samples, recipe="int16x8"), samples


def test_the_int16_operator_is_within_its_bound_of_the_float_one(coded):
    name, graph, made, samples = coded
    expected, got = outputs(graph, samples, "AUTO"), outputs(made, samples, "BUILTIN_REF")
    scale = float(made.main.outputs[0].quant.scale)
    steps = STEPS.get(name, 1.5 if KINDS[name] in WEIGHTED else 1.0)
    constants = [t for op in made.main.operators for t in op.inputs if t and t.is_constant]
    rounded = sum(t.quant.scales.max() / 2 for t in constants if t.dtype in ("INT16", "INT64"))
    # The float model itself is exact to 24 bits in each of at most 144 products.
    noise = 144 * 2.0**-24 * np.abs(expected).max()
    gain = 4 if "MATMUL" in name else np.abs(samples).max() if name == "MUL constant" else 1
    worst = np.abs(got - np.clip(expected, -32768 * scale, 32767 * scale)).max()
    assert worst <= steps * scale + gain * rounded + noise


def test_nothing_but_int16_int8_weights_and_int64_biases_is_left(coded):
    name, _, made, _ = coded
    for op in made.main.operators:
        place = RULES[op.kind].weights
        for i, tensor in enumerate(op.inputs):
            if tensor is None or tensor.quant is None:
                continue
            wanted = "INT16"
            if place is not None and i in (place.index, place.bias):
                wanted = "INT8" if i == place.index else "INT64"
            assert tensor.dtype == wanted, (name, op, i)
            assert not np.any(tensor.quant.zero_points)
    assert not [t for t in made.main.tensors if t.is_float]


def test_the_default_kernels_load_it_too(coded):
    _, _, made, samples = coded
    outputs(made, samples[:1], "AUTO")


@pytest.mark.parametrize("name", REFUSED)
def test_operators_without_int16_kernels_are_refused_by_name(name):
    graph, _ = build(name)
    with pytest.raises(int8x.QuantizeError, match=rf"made int16x8: {KINDS[name]} '.*int16 kernel"):
        int8x.quantize(graph, data=on_int16_grid(), recipe="int16x8")


@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH", "SOFTMAX"])
def test_results_that_tflite_fixes_have_its_scale(kind):
    made = int8x.quantize(build(kind)[0], data=on_int16_grid(), recipe="int16x8")
    assert made.main.outputs[0].quant.same_grid(int8x.QuantParams(1 / 32768, 0, bits=16))


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL", "RELU6"])
@pytest.mark.parametrize("ratio", [1e-3, 1e-5, 1e-8])
def test_results_far_finer_than_their_inputs_still_prepare(name, ratio):
    graph, _ = build(name)
    stats = int8x.calibrate(graph, on_int16_grid())
    rule = {"tensor": graph.main.inputs[0].name, "range": [-1 / ratio, 1 / ratio]}
    made = int8x.quantize(graph, stats, recipe={"name": "int16x8", "overrides": [rule]})
    outputs(made, on_int16_grid()[:1], "BUILTIN_REF")
