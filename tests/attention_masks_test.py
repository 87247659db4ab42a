"""Masked values of attention, -1e9 or the lowest float, cost the logits beside them no steps."""

import int8x
import numpy as np
import pytest
from float_nets import Net
from int8x.quantization.attention_masks import room
from int8x.tflite.graph import Graph
from int8x.tflite.subgraph import Tensor

ROWS, UNITS = 6, 8
CAUSAL = np.triu(np.ones((1, ROWS, ROWS), bool), 1)
INT32 = 2  # TensorType
LOWEST = float(np.finfo(np.float32).min)


def added(net: Net, logits: Tensor, masked: Tensor, value: float) -> Tensor:
    return net.binary("ADD", logits, net.constant(np.where(CAUSAL, np.float32(value), 0)))


def selected(net: Net, logits: Tensor, masked: Tensor, value: float) -> Tensor:
    mask, low = net.constant(~CAUSAL), net.constant(np.float32(value))
    return net.add("SELECT_V2", [mask, logits, low], *logits.shape, options="SelectV2Options")


def from_input(net: Net, logits: Tensor, masked: Tensor, value: float) -> Tensor:
    return net.binary("ADD", logits, net.binary("MUL", masked, net.constant(np.float32(value))))


def subtracted(net: Net, logits: Tensor, masked: Tensor, value: float) -> Tensor:
    return net.binary("SUB", logits, net.binary("MUL", masked, net.constant(np.float32(-value))))


def twice(net: Net, logits: Tensor, masked: Tensor, value: float) -> Tensor:
    return from_input(net, added(net, logits, masked, value / 4), masked, value / 4)


def then_scaled(net: Net, logits: Tensor, masked: Tensor, value: float) -> Tensor:
    return net.binary("MUL", added(net, logits, masked, value), net.constant(np.float32(0.35)))


def then_moved(net: Net, logits: Tensor, masked: Tensor, value: float) -> Tensor:
    sums = from_input(net, logits, masked, value)
    net.main.outputs.append(
        net.add("SHAPE", [sums], 3, options="ShapeOptions", dtype="INT32", outType=INT32)
    )
    shape = net.constant(np.array(logits.shape, np.int32))
    return net.add("RESHAPE", [sums, shape], *logits.shape, options="ReshapeOptions")


MASKS = [added, selected, from_input, subtracted, twice, then_scaled, then_moved]


def attention(mask, value: float) -> Graph:
    """Softmax of masked logits, its last output. Inputs: x, and 1 where a value is masked."""
    net = Net(3)
    logits = net.dense(net.input(1, ROWS, UNITS), ROWS)
    one = net.add(
        "ADD", [net.input(1, 1, ROWS, name="masked"), net.constant(np.float32(0))], 1, 1, ROWS
    )
    masked = mask(net, logits, one, value)
    return net.done(*net.main.outputs, one, softmax(net, masked))


def softmax(net: Net, logits: Tensor) -> Tensor:
    return net.add("SOFTMAX", [logits], *logits.shape, options="SoftmaxOptions", beta=1.0)


def samples(count: int = 32) -> list[list[np.ndarray]]:
    random = np.random.default_rng(0)
    lengths = random.integers(3, ROWS + 1, count)
    data = random.normal(size=(count, 1, ROWS, UNITS)).astype(np.float32)
    masks = (np.arange(ROWS) >= lengths[:, None]).astype(np.float32).reshape(count, 1, 1, ROWS)
    return [list(pair) for pair in zip(data, masks, strict=True)]


@pytest.mark.parametrize("recipe", ["int8", "minmax", "int16x8"])
@pytest.mark.parametrize("value", [-1e4, -1e9, LOWEST])
@pytest.mark.parametrize("mask", MASKS)
def test_masked_logits_keep_their_steps(mask, value, recipe):
    graph = attention(mask, value)
    coded = int8x.quantize(graph, data=samples(), recipe=recipe)
    report = int8x.validate(graph, coded, samples())
    print([(t.operator, t.sqnr_db) for t in report.tensors])
    assert report.tensors[-1].sqnr_db > 30
    (probability,) = (op for op in coded.main.operators if op.kind == "SOFTMAX")
    logits = int8x.calibrate(graph, samples()).tensors[graph.main.operators[0].outputs[0].name]
    bits, steps = (16, 32767) if recipe == "int16x8" else (8, 255)
    width = logits.max - logits.min + room(bits, ROWS)
    assert probability.inputs[0].quant.scale <= 1.1 * width / steps


@pytest.mark.parametrize("mask", MASKS)
def test_masked_values_are_left_out_of_the_report(mask):
    graph = attention(mask, -1e9)
    report = int8x.validate(graph, int8x.quantize(graph, data=samples()), samples())
    masked = [t for t in report.tensors if t.left_out]
    print([(t.operator, t.sqnr_db, t.left_out) for t in report.tensors])
    print([(o.kind, o.sqnr_db, o.effect_db) for o in report.operators])
    assert masked
    held_alone = [t for t in masked if t.operator == "MUL" and mask is not then_scaled]
    assert all(t.sqnr_db > 25 for t in masked if t not in held_alone)
    assert all(o.sqnr_db > 25 and o.effect_db > 30 for o in report.operators)


def test_no_masked_value_leaks_into_a_long_row():
    """All but one of 1024 values are masked, and the logits differ by little."""
    length = 1024
    net = Net()
    x = net.input(1, 4, length)
    low = np.full((1, 4, length), -1e9, np.float32)
    low[:, :, 0] = 0
    net.done(softmax(net, net.binary("ADD", x, net.constant(low))))
    data = np.random.default_rng(0).uniform(-0.5, 0.5, (8, 4, length)).astype(np.float32)
    coded = int8x.quantize(net.graph, data=data, recipe="minmax")
    (figures,) = int8x.validate(net.graph, coded, data).tensors[-1:]
    assert figures.max_error <= 1 / 32 + 1 / 256


def test_a_mask_that_two_softmaxes_read_holds_what_the_wider_needs():
    net = Net()
    wide, narrow = net.input(1, ROWS, ROWS, name="wide"), net.input(1, ROWS, ROWS, name="narrow")
    mask = net.binary("MUL", net.input(1, 1, ROWS, name="masked"), net.constant(np.float32(-1e9)))
    net.done(*(softmax(net, net.binary("ADD", logits, mask)) for logits in (wide, narrow)))
    random = np.random.default_rng(0)
    data = [
        [
            random.uniform(-40, 40, (1, ROWS, ROWS)).astype(np.float32),
            random.uniform(-1, 1, (1, ROWS, ROWS)).astype(np.float32),
            masked,
        ]
        for _, masked in samples()
    ]
    coded = int8x.quantize(net.graph, data=data, recipe="minmax")
    (product,) = (op.outputs[0].quant for op in coded.main.operators if op.kind == "MUL")
    assert (-128 - product.zero_point) * product.scale <= -80 - room(8, ROWS) + product.scale
    assert min(t.sqnr_db for t in int8x.validate(net.graph, coded, data).tensors[-2:]) > 25


def test_logits_without_a_mask_keep_their_range():
    graph = attention(added, -20.0)
    coded = int8x.quantize(graph, data=samples(), recipe="minmax")
    seen = int8x.calibrate(graph, samples()).tensors[graph.main.operators[2].outputs[0].name]
    (probability,) = (op for op in coded.main.operators if op.kind == "SOFTMAX")
    assert probability.inputs[0].quant.scale == pytest.approx((seen.max - seen.min) / 255, rel=1e-6)


def test_masked_logits_that_are_an_output_keep_their_range():
    net = Net(3)
    sums = added(net, net.dense(net.input(1, ROWS, UNITS), ROWS), net.constant(0.0), -1e4)
    net.done(sums, softmax(net, sums))
    data = [x for x, _ in samples()]
    coded = int8x.quantize(net.graph, data=data, recipe=int8x.Recipe(observer="minmax", io="int8"))
    assert coded.main.outputs[0].quant.scale == pytest.approx(1e4 / 255, rel=0.01)


@pytest.mark.parametrize(("recipe", "most"), [("minmax", 2.0**14), ("int16x8", 1.0)])
def test_no_product_is_shifted_out_of_32_bits(recipe, most):
    """A factor of 1e9 meets nothing but zeros."""
    net = Net()
    huge = net.constant(np.array([1.0, 1e9], np.float32))
    net.done(net.binary("MUL", net.input(1, 2), huge))
    data = np.random.default_rng(0).uniform(-1, 1, (8, 2)).astype(np.float32)
    data[:, 1] = 0
    coded = int8x.quantize(net.graph, data=data, recipe=recipe)
    (op,) = (op for op in coded.main.operators if op.kind == "MUL")
    a, b, out = (t.quant.scale for t in (*op.inputs, op.outputs[0]))
    assert float(a) * float(b) / float(out) <= most * (1 + 1e-6)
