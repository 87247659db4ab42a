"""validate: figures that can be worked out by hand, tensors matched by name, and clear refusals."""

import io
import json
import math

import int8x
import numpy as np
import pytest
from float_nets import Net, on_grid, small_network
from int8x.quantization.passes import prepare
from int8x.tflite.graph import Graph
from int8x.tflite.quant_params import QuantParams

SHAPE = (1, 8, 8, 3)
SAMPLES = on_grid(SHAPE)


def identity(grid: QuantParams) -> tuple[Graph, Graph]:
    """RESHAPE of two numbers, in float and on a grid."""
    net = Net()
    x = net.input(1, 4)
    graph = net.done(net.reshape(x, 1, 2, 2))
    coded = graph.copy()
    for tensor in [*coded.main.inputs, *coded.main.outputs]:
        tensor.dtype, tensor.quant = "INT8", grid
    return graph, coded


def test_the_figures_are_those_of_the_definition():
    graph, coded = identity(QuantParams(0.5, 10))
    data = np.array([[0.6, -1.0, 100.0, 2.0]], np.float32)
    report = int8x.validate(graph, coded, data)
    (row,) = [t for t in report.tensors if t.name in report.outputs]
    y = np.array([0.5, -1.0, 58.5, 2.0])
    x = data[0].astype(np.float64)
    assert math.isclose(row.sqnr_db, 10 * math.log10((x @ x) / ((x - y) @ (x - y))), rel_tol=1e-9)
    assert math.isclose(row.max_error, 41.5) and row.saturated == 0.25
    assert math.isclose(row.cosine, x @ y / math.sqrt((x @ x) * (y @ y)), rel_tol=1e-9)
    assert row.steps == 127 - 8 + 1 and (row.scale, row.zero_point) == (0.5, 10)


def test_equal_tensors_have_infinite_sqnr_which_json_calls_null():
    graph, coded = identity(QuantParams(0.5, 10))
    report = int8x.validate(graph, coded, np.array([[0.5, -1, 1.5, 2]], np.float32))
    assert all(t.sqnr_db == math.inf for t in report.tensors)
    assert [t["sqnr_db"] for t in json.loads(report.to_json())["tensors"]] == [None, None]


@pytest.mark.parametrize("io", ["int8", "uint8", "float"])
def test_every_activation_is_matched_whatever_the_interface(io):
    coded = int8x.quantize(small_network(), data=SAMPLES, recipe=int8x.Recipe(io=io))
    report = int8x.validate(small_network(), coded, SAMPLES)
    kinds = [
        "input",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "CONV_2D",
        "ADD",
        "MAX_POOL_2D",
        "AVERAGE_POOL_2D",
        "CONV_2D",
        "CONCATENATION",
        "MEAN",
        "FULLY_CONNECTED",
        "SOFTMAX",
    ]
    assert [t.operator for t in report.tensors] == kinds
    assert report.samples == 8 and report.outputs == ("softmax11",)
    assert min(t.sqnr_db for t in report.tensors) > 25


def test_agreement_and_accuracy_count_choices():
    coded = int8x.quantize(small_network(), data=SAMPLES)
    graph = prepare(small_network())
    same = int8x.validate(graph, graph, SAMPLES, labels=np.arange(8))
    assert same.agreement == (1.0,) and same.float_accuracy == same.int8_accuracy
    report = int8x.validate(graph, coded, SAMPLES, labels=np.arange(8))
    assert report.float_accuracy == same.float_accuracy
    assert abs(report.int8_accuracy - report.float_accuracy) <= 1 - report.agreement[0] + 1e-9


def test_reference_and_stock_kernels_agree_closely():
    coded = int8x.quantize(small_network(), data=SAMPLES)
    reports = [
        int8x.validate(small_network(), coded, SAMPLES, resolver=r).tensors[-1].sqnr_db
        for r in ("BUILTIN_REF", "BUILTIN_WITHOUT_DEFAULT_DELEGATES")
    ]
    assert abs(reports[0] - reports[1]) < 6


def test_the_table_shows_every_tensor():
    from rich.console import Console

    report = int8x.validate(small_network(), int8x.quantize(small_network(), data=SAMPLES), SAMPLES)
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(report.table())
    shown = console.export_text()
    assert all(t.name in shown for t in report.tensors)


@pytest.mark.parametrize(
    "labels, told",
    [
        (np.zeros(7, int), r"one per sample \(8\), got 7"),
        (np.zeros(8), "labels must be integers, got float64"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, told):
    with pytest.raises(int8x.DataError, match=told):
        int8x.validate(
            small_network(), int8x.quantize(small_network(), data=SAMPLES), SAMPLES, labels=labels
        )


def test_models_that_do_not_correspond_are_refused():
    graph, coded = identity(QuantParams(0.5, 10))
    coded.main.outputs = coded.main.outputs * 2
    with pytest.raises(int8x.ModelError, match="it has 2 outputs, the float model 1"):
        int8x.validate(graph, coded, np.zeros((1, 4), np.float32))
    with pytest.raises(int8x.DataError, match="float32, sample 0 is int8"):
        int8x.validate(graph, graph, np.zeros((1, 4), np.int8))
