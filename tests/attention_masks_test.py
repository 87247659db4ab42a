"""Masked values of attention, -1e9 or the lowest float, cost the logits beside them no steps."""

import int8x
import numpy as np
import pytest
from float_nets import Net
from int8x.quantization.attention_masks import ROOM
from int8x.tflite.graph import Graph
from int8x.tflite.subgraph import Tensor

ROWS, UNITS = 6, 8
CAUSAL = np.triu(np.ones((1, ROWS, ROWS), bool), 1)


def added(net: Net, logits: Tensor, value: float) -> Tensor:
    mask = net.constant(np.where(CAUSAL, np.float32(value), np.float32(0)))
    return net.add("ADD", [logits, mask], *logits.shape, options="AddOptions")


def selected(net: Net, logits: Tensor, value: float) -> Tensor:
    mask, low = net.constant(~CAUSAL), net.constant(np.float32(value))
    return net.add("SELECT_V2", [mask, logits, low], *logits.shape, options="SelectV2Options")


def attention(mask, value: float) -> Graph:
    """Softmax of masked logits."""
    net = Net(3)
    logits = net.dense(net.input(1, ROWS, UNITS), ROWS)
    masked = mask(net, logits, value)
    softmax = net.add("SOFTMAX", [masked], *masked.shape, options="SoftmaxOptions", beta=1.0)
    return net.done(softmax)


@pytest.mark.parametrize("recipe", ["int8", "minmax", "int16x8"])
@pytest.mark.parametrize("value", [-1e4, -1e9, float(np.finfo(np.float32).min)])
@pytest.mark.parametrize("mask", [added, selected])
def test_masked_logits_keep_their_steps(mask, value, recipe):
    graph = attention(mask, value)
    data = np.random.default_rng(0).normal(size=(32, ROWS, UNITS)).astype(np.float32)
    coded = int8x.quantize(graph, data=data, recipe=recipe)
    report = int8x.validate(graph, coded, data)
    print(report.tensors[-1].sqnr_db)
    assert report.tensors[-1].sqnr_db > 30
    (softmax,) = (op for op in coded.main.operators if op.kind == "SOFTMAX")
    logits = int8x.calibrate(graph, data).tensors[graph.main.operators[0].outputs[0].name]
    width = logits.max - logits.min + ROOM
    assert softmax.inputs[0].quant.scale <= 1.1 * width / (255 if recipe != "int16x8" else 32767)


def test_logits_without_a_mask_keep_their_range():
    graph = attention(added, -20.0)
    data = np.random.default_rng(0).normal(size=(32, ROWS, UNITS)).astype(np.float32)
    coded = int8x.quantize(graph, data=data, recipe="minmax")
    seen = int8x.calibrate(graph, data).tensors[graph.main.operators[1].outputs[0].name]
    (softmax,) = (op for op in coded.main.operators if op.kind == "SOFTMAX")
    assert softmax.inputs[0].quant.scale == pytest.approx((seen.max - seen.min) / 255, rel=1e-6)
