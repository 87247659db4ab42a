"""Precisions side by side in one graph: conversions stand where they meet, and cost no more than
the coarser side.
"""

import itertools

import int8x
import numpy as np
import pytest
from float_nets import Net, on_grid, small_network
from int8x.quantization.overrides import COMPUTES
from int8x.tflite.graph import Graph

SAMPLES = on_grid((1, 8, 8, 3))
PRESETS = [compute for compute in COMPUTES if compute != "float"]


def two_layers() -> Graph:
    net = Net(5)
    return net.done(net.conv(net.conv(net.input(1, 8, 8, 3), 4), 5))


def quantize(graph: Graph, *rules: dict, **recipe) -> Graph:
    return int8x.quantize(graph, data=SAMPLES, recipe={**recipe, "overrides": rules})


def kinds(graph: Graph) -> list[str]:
    return [op.kind for op in graph.main.operators]


@pytest.mark.parametrize("resolver", ["BUILTIN_REF", "AUTO"])
@pytest.mark.parametrize("first, second", [*itertools.product(COMPUTES, COMPUTES)])
def test_any_two_precisions_meet(first, second, resolver):
    coded = quantize(
        two_layers(),
        {"index": 0, "compute": first},
        {"index": 1, "compute": second},
        io="float",
    )
    report = int8x.validate(two_layers(), coded, SAMPLES, resolver=resolver)
    # 17 dB is INT4's: weights of 15 steps. 30 dB int8's, 60 dB of two layers at 16 bits.
    worst = (
        14 if "int8_w4" in (first, second) else 28 if {"int8", "dynamic"} & {first, second} else 55
    )
    assert report.tensor(report.outputs[0]).sqnr_db > worst


def test_int8_meets_int16_through_float_and_back_by_one_quantize():
    up = quantize(two_layers(), {"index": 1, "compute": "int16x8"})
    assert kinds(up) == ["CONV_2D", "DEQUANTIZE", "QUANTIZE", "CONV_2D", "QUANTIZE"]
    down = quantize(two_layers(), {"index": 0, "compute": "int16x8"}, io="int16")
    assert kinds(down) == ["CONV_2D", "QUANTIZE", "CONV_2D", "DEQUANTIZE", "QUANTIZE"]
    for op in (*up.main.operators, *down.main.operators):
        if op.kind == "QUANTIZE":  # no runtime but its optimized kernels takes int8 to int16
            assert (op.inputs[0].dtype, op.outputs[0].dtype) != ("INT8", "INT16")


def test_a_tensor_read_in_three_precisions_is_converted_once_for_each():
    net = Net()
    a = net.conv(net.input(1, 8, 8, 3), 4)
    wide = [net.conv(a, 2), net.conv(a, 2)]
    plain = [net.conv(a, 2), net.conv(a, 2)]
    float_ = net.add("SIN", [a], *a.shape)
    graph = net.done(*wide, *plain, float_)
    coded = quantize(
        graph,
        {"index": [1, 2], "compute": "int16x8"},
        {"kind": "SIN", "compute": "float"},
        io="float",
    )
    first = coded.main.operators[1]
    assert first.kind == "CONV_2D"
    readers = [op.kind for op in coded.main.operators if first.outputs[0] in op.inputs]
    assert sorted(readers) == ["CONV_2D", "CONV_2D", "DEQUANTIZE"]
    forms = [t.name for t in coded.main.tensors if t.name.startswith(f"{first.outputs[0].name}/")]
    assert sorted(forms) == [f"{first.outputs[0].name}/float", f"{first.outputs[0].name}/int16"]


def test_one_kernel_in_two_precisions_is_stored_in_both():
    net = Net()
    x = net.input(1, 8, 8, 3)
    kernel = net.constant(net.weights(3, 1, 1, 3))
    y = net.conv(net.conv(x, 3, size=1), 3, size=1)
    for op in net.main.operators:
        op.inputs[1] = kernel
    coded = quantize(net.done(y), {"index": 1, "compute": "int8_w4"})
    convs = [op.inputs[1] for op in coded.main.operators]
    assert [t.dtype for t in convs] == ["INT8", "INT4"]
    assert len({t.name for t in convs}) == 2


@pytest.mark.parametrize("io", ["int8", "uint8", "int16", "float"])
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_takes_every_interface(preset, io):
    wanted = {"float": "FLOAT32"}.get(io, io.upper())
    coded = quantize(small_network(), name=preset, io=io)
    for tensor in [*coded.main.inputs, *coded.main.outputs]:
        assert tensor.dtype == wanted
    assert [t.name for t in coded.main.outputs] == ["softmax11"]
    report = int8x.validate(small_network(), coded, SAMPLES, resolver="BUILTIN_REF")
    assert report.agreement == (1.0,)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_default_interface_is_the_activations_type(preset):
    coded = quantize(small_network(), name=preset)
    wanted = {"int16x8": "INT16", "int8": "INT8", "int8_w4": "INT8"}.get(preset, "FLOAT32")
    assert {t.dtype for t in (*coded.main.inputs, *coded.main.outputs)} == {wanted}


def test_given_int8_ranges_serve_int16_too():
    graph = small_network()
    graph.ranges["add3"] = int8x.QuantParams(0.5, -28, source="qat")
    grid = int8x.quantize(graph, data=SAMPLES, recipe="int16x8").quantization.grids["add3"]
    assert grid.bits == 16 and grid.source == "qat"
    assert grid.scale == np.float32(0.5 * 155 / 32767) and grid.zero_point == 0


def test_int16x8_of_a_network_is_beyond_50_db():
    coded = int8x.quantize(small_network(), data=SAMPLES, recipe="int16x8")
    report = int8x.validate(small_network(), coded, SAMPLES, resolver="BUILTIN_REF")
    assert len(report.tensors) == 12 and min(t.sqnr_db for t in report.tensors) > 50
