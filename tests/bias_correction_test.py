"""Bias correction takes the mean error off each channel, layer by layer."""

import dataclasses

import int8x
import int8x.quantization.passes
import numpy as np
import pytest
from float_nets import Net, small_network
from int8x.methods.bias_correction import correct_biases
from int8x.methods.draft import Draft
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph
from uneven_nets import half_steps, images

PLAIN = int8x.Recipe(io="float")
CORRECTED = dataclasses.replace(PLAIN, bias_correction=True)
DROP = 5.0


def mean_error(graph: Graph, coded: Graph, data: np.ndarray) -> float:
    """The largest difference of a channel's mean at the output."""
    sums = []
    for model in (graph, coded):
        runner = Runner(model.to_bytes(), "model", 1, "BUILTIN_WITHOUT_DEFAULT_DELEGATES")
        place = model.main.tensors.index(model.main.outputs[0])
        total = np.zeros(model.main.outputs[0].shape[-1])
        for sample in data:
            runner.run([sample[None]])
            total += runner.value(place).astype(np.float64).reshape(-1, len(total)).mean(axis=0)
        sums.append(total / len(data))
    return float(np.abs(sums[0] - sums[1]).max())


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_error_falls_more_than_fivefold_on_unseen_samples(seed):
    graph = half_steps(seed)
    data, unseen = np.abs(images(128, seed)), np.abs(images(64, seed + 100))
    plain, corrected = (int8x.quantize(graph, data=data, recipe=r) for r in (PLAIN, CORRECTED))
    before, after = mean_error(graph, plain, unseen), mean_error(graph, corrected, unseen)
    print(f"seed {seed}: {before:.4f} to {after:.4f}")
    assert after * DROP < before
    assert corrected.quantization.methods[0].kept


def test_only_biases_change():
    graph, data = half_steps(0), np.abs(images(32))
    plain, corrected = (int8x.quantize(graph, data=data, recipe=r) for r in (PLAIN, CORRECTED))
    for a, b in zip(plain.main.operators, corrected.main.operators, strict=True):
        assert a.kind == b.kind
        if len(a.inputs) == 3:
            np.testing.assert_array_equal(a.inputs[1].data, b.inputs[1].data)
            assert not np.array_equal(a.inputs[2].data, b.inputs[2].data)
            assert a.inputs[2].quant == b.inputs[2].quant
        assert [t.quant for t in a.outputs] == [t.quant for t in b.outputs]


def computed_shape() -> Graph:
    """An upsampling as Keras writes it: TRANSPOSE_CONV to a shape that is computed from a tensor's
    own.
    """
    net = Net(4)
    x = net.input(1, 5, 5, 4)
    shape = net.add("SHAPE", [x], 4, dtype="INT32", options="ShapeOptions", outType=2)
    ends = [net.constant(np.array([i], np.int32), "end") for i in (0, 1, 1)]
    batch = net.add(
        "STRIDED_SLICE",
        [shape, *ends],
        dtype="INT32",
        options="StridedSliceOptions",
        shrinkAxisMask=1,
    )
    sides = [net.constant(np.array(n, np.int32), "side") for n in (10, 10, 3)]
    whole = net.add("PACK", [batch, *sides], 4, dtype="INT32", options="PackOptions", valuesCount=4)
    weights = net.constant(net.weights(3, 2, 2, 4), "weights")
    y = net.add(
        "TRANSPOSE_CONV",
        [whole, weights, x],
        1,
        10,
        10,
        3,
        options="TransposeConvOptions",
        strideH=2,
        strideW=2,
    )
    net.main.outputs.append(y)
    return net.graph


def test_an_operator_whose_output_shape_is_computed_is_corrected():
    graph, data = computed_shape(), np.abs(images(32))[:, :5, :5, :1].repeat(4, axis=3)
    plain, corrected = (int8x.quantize(graph, data=data, recipe=r) for r in (PLAIN, CORRECTED))
    (step,) = corrected.quantization.methods
    assert step.before is not None and step.after is not None, step  # tried, not left out
    assert mean_error(graph, corrected, data) <= mean_error(graph, plain, data)


def test_each_layer_is_corrected_for_those_before_it():
    """With the second layer's own rounding exact, all it has to take off is the first one's."""
    graph, data = half_steps(0), np.abs(images(64))
    second = graph.main.operators[1].inputs[1]
    second.data = (np.round(second.values / 0.01) * 0.01).astype(np.float32)
    samples = [[sample[None]] for sample in data]
    stats = int8x.calibrate(graph, data)
    prepared = int8x.quantization.passes.prepare(graph.copy())
    corrected = correct_biases(prepared, Draft(PLAIN, stats), samples)
    shift = [
        np.abs(a.inputs[2].values - b.inputs[2].values).max()
        for a, b in zip(prepared.main.operators, corrected.main.operators, strict=True)
    ]
    assert shift[1] < shift[0] / 5


@pytest.mark.parametrize("compute", ["int8", "int16x8", "int8_w4", "dynamic"])
def test_every_precision_with_integer_weights_gains(compute):
    graph, data = half_steps(1), np.abs(images(64, 1))
    plain = int8x.Recipe(compute=compute, io="float")
    before, after = (
        mean_error(graph, int8x.quantize(graph, data=data, recipe=r), data)
        for r in (plain, dataclasses.replace(plain, bias_correction=True))
    )
    assert after < before


def test_equal_inputs_give_equal_bytes():
    once, again = (
        int8x.quantize(small_network(), data=images(16), recipe=CORRECTED).to_bytes()
        for _ in range(2)
    )
    assert once == again
