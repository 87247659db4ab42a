"""validate: an operator's own error is that of its kernel on what it read, and no other's."""

import csv
import io
import json
import math

import int8x
import numpy as np
import pytest
from float_nets import RELU, Net, on_grid, small_network
from int8x.quantization.passes import prepare
from int8x.tflite.graph import Graph
from int8x.tflite.quant_params import QuantParams

SHAPE = (1, 8, 8, 3)
SAMPLES = on_grid(SHAPE)


def two_relus(*grids: QuantParams, dtype: str = "INT8") -> tuple[Graph, Graph]:
    """RELU of RELU of four numbers, in float, and with its three tensors on `grids`."""
    net = Net()
    x = net.input(1, 4)
    graph = net.done(net.add("RELU", [net.add("RELU", [x], 1, 4)], 1, 4))
    coded = graph.copy()
    tensors = [coded.main.inputs[0], *(op.outputs[0] for op in coded.main.operators)]
    for tensor, grid in zip(tensors, grids, strict=True):
        tensor.dtype, tensor.quant = dtype, grid
    for op in coded.main.operators:
        op.version = 2
    return graph, coded


def two_sided(seed: int = 0) -> Graph:
    """Two inputs, two outputs, one of them twice; a TANH, a float EXP."""
    net = Net(seed)
    a, b = net.input(1, 6, name="a"), net.input(1, 6, name="b")
    c = net.dense(a, 8, activation=RELU)
    d = net.binary("ADD", c, net.dense(b, 8))
    e = net.add("TANH", [d], 1, 8)
    f = net.add("FLOOR", [d], 1, 8)
    return net.done(e, f, e)


def test_an_operators_own_error_starts_from_what_it_read():
    coarse = QuantParams(1.0, -128)
    graph, coded = two_relus(QuantParams(0.125, 0), coarse, QuantParams(0.25, -128))
    data = np.array([[0.30, -1.0, 3.0, 2.0]], np.float32)  # read as 0.25, -1, 3, 2
    report = int8x.validate(graph, coded, data)
    first, second = report.operators
    assert (first.index, first.kind, first.covers) == (0, "RELU", 1)
    wanted, came = np.array([0.25, 0, 3, 2]), np.array([0.0, 0, 3, 2])
    noise = float((wanted - came) @ (wanted - came))
    assert math.isclose(first.sqnr_db, 10 * math.log10(float(wanted @ wanted) / noise))
    assert first.max_error == 0.25 and first.steps == 4 and first.of_steps == 256
    assert second.sqnr_db == math.inf and second.max_error == 0.0
    so_far = report.tensor(second.name)
    assert math.isclose(so_far.max_error, 0.30, rel_tol=1e-6)
    assert report.worst_operator == first
    assert (
        report.verdict
        == f"lost the most: operator 0, RELU relu0, {first.sqnr_db:.1f} dB by itself, "
        f"{first.effect_db:.1f} dB at the outputs"
    )


def test_the_effect_is_that_of_the_error_alone_on_the_float_models_outputs():
    graph, coded = two_relus(QuantParams(0.125, 0), QuantParams(1.0, -128), QuantParams(0.25, -128))
    data = np.array([[0.30, -1.0, 3.0, 2.0]], np.float32)  # read as 0.25; made 0.0
    first, second = int8x.validate(graph, coded, data).operators
    wanted = np.maximum(data[0].astype(np.float64), 0)
    error = np.array([-0.25, 0, 0, 0])
    noise = float(error @ error)
    assert math.isclose(
        first.effect_db, 10 * math.log10(float(wanted @ wanted) / noise), rel_tol=1e-6
    )
    assert second.effect_db == math.inf


def test_where_effects_cannot_be_measured_a_note_says_so(monkeypatch):
    from int8x.validation import effects

    def refuse(self, sample, errors):
        raise int8x.ModelError("no sums here")

    monkeypatch.setattr(effects.Effects, "_outputs_of", refuse)
    coded = int8x.quantize(small_network(), data=SAMPLES)
    report = int8x.validate(small_network(), coded, SAMPLES)
    assert report.notes[-1] == "effects on the outputs were not measured: no sums here"
    assert all(o.effect_db is None for o in report.operators)
    assert report.worst_operator.sqnr_db == min(o.sqnr_db for o in report.operators)


def test_an_error_that_is_cut_next_ranks_behind_one_that_reaches_the_outputs():
    net = Net()
    x = net.input(1, 4)
    hidden = net.add("RELU", [net.add("TANH", [x], 1, 4)], 1, 4)
    graph = net.done(net.add("ELU", [hidden], 1, 4))
    data = np.array([[-0.04, -0.05, -0.06, 1.5], [-0.07, -0.03, -0.05, -0.04]], np.float32)
    report = int8x.validate(graph, int8x.quantize(graph, data=data), data)
    tanh = next(o for o in report.operators if o.kind == "TANH")
    assert tanh.sqnr_db < math.inf and tanh.effect_db > tanh.sqnr_db
    worst = report.worst_operator
    assert worst.effect_db == min(o.effect_db for o in report.operators)


def test_the_share_beyond_the_grid_is_counted_of_what_the_operator_wanted():
    graph, coded = two_relus(QuantParams(0.5, 0), QuantParams(0.25, -128), QuantParams(0.125, -128))
    data = np.array([[60.0, 40.0, 1.0, -1.0]], np.float32)  # 63.75 fits the first, 31.875 the next
    report = int8x.validate(graph, coded, data)
    assert [o.saturated for o in report.operators] == [0.0, 0.5]


def test_sixteen_bits_have_65536_steps():
    grid = QuantParams(2.0**-10, 0, bits=16)
    graph, coded = two_relus(grid, grid, grid, dtype="INT16")
    report = int8x.validate(graph, coded, np.array([[0.5, 1, 2, 31]], np.float32))
    assert {o.of_steps for o in (*report.operators, *report.tensors)} == {65536}
    assert report.tensors[0].steps == int(30.5 * 1024) + 1
    assert report.verdict == "no operator lost"


@pytest.mark.parametrize("io", ["int8", "uint8", "float"])
def test_every_operator_has_a_row_of_its_own(io):
    coded = int8x.quantize(small_network(), data=SAMPLES, recipe=int8x.Recipe(io=io))
    report = int8x.validate(small_network(), coded, SAMPLES)
    assert [o.kind for o in report.operators] == [op.kind for op in coded.main.operators]
    assert [o.index for o in report.operators] == list(range(len(coded.main.operators)))
    assert all(o.covers == 1 for o in report.operators) and not report.notes
    moved = [o for o in report.operators if o.kind in ("MAX_POOL_2D", "DEQUANTIZE")]
    assert moved and all(o.sqnr_db == math.inf for o in moved)


def test_the_operator_with_the_bad_grid_has_the_lowest_sqnr_of_its_own():
    model = small_network()
    spoiled = prepare(small_network()).main.operators[1].name
    model.ranges[spoiled] = QuantParams(4.0, -128)
    coded = int8x.quantize(model, data=SAMPLES, recipe="minmax")
    report = int8x.validate(small_network(), coded, SAMPLES)
    lowest = min(report.operators, key=lambda o: o.sqnr_db)
    assert lowest.name == spoiled
    assert lowest.sqnr_db < min(o.sqnr_db for o in report.operators if o is not lowest) - 6
    after = report.operators[lowest.index + 1]
    assert after.sqnr_db > report.tensor(after.name).sqnr_db + 3
    known = [o.effect_db for o in report.operators if o.effect_db is not None]
    assert report.worst_operator.effect_db == min(known) < 20  # of the SOFTMAX's input


def test_several_inputs_and_outputs_and_operators_left_in_float():
    samples = {name: on_grid((1, 6), seed=seed) for seed, name in enumerate("ab")}
    coded = int8x.quantize(two_sided(), data=samples, recipe=int8x.Recipe(allow_float=True))
    report = int8x.validate(two_sided(), coded, samples)
    assert len(report.outputs) == 3 and len(report.agreement) == 3
    assert report.agreement[0] == report.agreement[2]
    kinds = [o.kind for o in report.operators]
    assert kinds == [op.kind for op in coded.main.operators]
    (exact,) = [o for o in report.operators if o.kind == "FLOOR"]
    assert exact.sqnr_db == math.inf and exact.of_steps == 0


def test_infinities_are_counted_and_left_out_and_json_stays_json():
    net = Net()
    x = net.input(1, 4)
    one = net.constant(np.float32([1]))
    graph = net.done(net.binary("DIV", one, net.add("RELU", [x], 1, 4)))
    data = np.array([[1.03, 2.1, 3.0, -1.0]], np.float32)
    coded = int8x.quantize(
        graph.copy(), data=np.abs(data), recipe=int8x.Recipe(allow_float=True, io="float")
    )
    report = int8x.validate(graph, coded, data)
    assert report.tensors[-1].left_out == 1 and math.isfinite(report.tensors[-1].sqnr_db)
    assert report.operators[-1].kind == "DIV" and report.operators[-1].left_out == 1

    def refuse(token):
        raise AssertionError(f"{token} is no JSON")

    document = json.loads(report.to_json(), parse_constant=refuse)
    assert len(document["operators"]) == len(report.operators)
    assert document["worst_operator"] == report.worst_operator.index


def test_csv_has_a_line_for_each_tensor_and_operator():
    report = int8x.validate(small_network(), int8x.quantize(small_network(), data=SAMPLES), SAMPLES)
    rows = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert [r["name"] for r in rows if r["part"] == "tensor"] == [t.name for t in report.tensors]
    operators = [r for r in rows if r["part"] == "operator"]
    assert [(r["kind"], int(r["index"])) for r in operators] == [
        (o.kind, o.index) for o in report.operators
    ]
    assert [r["sqnr_db"] for r in operators] == [
        "" if math.isinf(o.sqnr_db) else repr(o.sqnr_db) for o in report.operators
    ]


def test_the_table_marks_the_operator_that_lost_the_most():
    from rich.console import Console

    report = int8x.validate(small_network(), int8x.quantize(small_network(), data=SAMPLES), SAMPLES)
    console = Console(width=140, record=True, file=io.StringIO(), force_terminal=True)
    console.print(report.operator_table())
    shown = console.export_text(styles=True)
    marked = [line for line in shown.splitlines() if "1;31m" in line]
    assert len(marked) == 1 and report.worst_operator.name in marked[0]
