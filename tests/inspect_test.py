"""`int8x inspect` and `int8x benchmark`: what they show, what they write, how they fail."""

import json

import numpy as np
import pytest
from int8x.cli import main
from int8x.errors import ModelError
from int8x.inspection import inspector as inspection
from operator_cases import CASES
from operator_models import ModelBuilder


def mixed() -> bytes:
    """QUANTIZE, CONV_2D, NEG (not the delegate's), DEQUANTIZE, float RELU; a float RELU apart."""
    q = dict(scale=0.5, zero_point=1)
    model = ModelBuilder()
    x, other = model.input((1, 4, 4, 3), np.float32), model.input((1, 2), np.float32)
    a, b, c = (model.tensor(s, **q) for s in ((1, 4, 4, 3), (1, 4, 4, 8), (1, 4, 4, 8)))
    w = model.constant(np.ones((8, 3, 3, 3)), np.int8, scale=np.full(8, 0.1))
    bias = model.constant(np.zeros(8), np.int32, scale=np.full(8, 0.05))
    d, e = model.tensor((1, 4, 4, 8), np.float32), model.tensor((1, 4, 4, 8), np.float32)
    f = model.tensor((1, 2), np.float32)
    window = dict(strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1, padding=0)
    model.operator("QUANTIZE", [x], [a], version=1)
    model.operator("CONV_2D", [a, w, bias], [b], fusedActivationFunction=0, **window)
    model.operator("NEG", [b], [c])
    model.operator("DEQUANTIZE", [c], [d])
    model.operator("RELU", [d], [e], version=1)
    model.operator("RELU", [other], [f], version=1)
    return model.finish([e, f])


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "mixed.tflite"
    path.write_bytes(mixed())
    return path


def test_an_inspection_tells_operators_types_scales_and_sizes(model):
    report = inspection.inspect(model)
    assert [op.kind for op in report.operators] == [
        "QUANTIZE",
        "CONV_2D",
        "NEG",
        "DEQUANTIZE",
        "RELU",
        "RELU",
    ]
    convolution = report.operators[1]
    assert convolution.macs == 4 * 4 * 8 * 27 == report.macs
    assert convolution.outputs[0].shape == (1, 4, 4, 8)
    assert convolution.outputs[0].scales == (0.5,) and convolution.outputs[0].zero_points == (1,)
    assert len(convolution.inputs[1].scales) == 8 and convolution.inputs[1].axis == 0
    assert [t.dtype for t in convolution.inputs] == ["INT8", "INT8", "INT32"]
    assert report.constant_bytes == 8 * 27 + 8 * 4
    assert report.file_bytes == model.stat().st_size


def test_an_inspection_tells_what_the_delegate_takes_and_why_not(model):
    report = inspection.inspect(model)
    assert [op.claimed for op in report.operators] == [True, True, False, True, False, False]
    assert report.claims.claimed_macs == 1.0 and report.claims.partitions == 2
    assert "no such operator" in report.operators[2].reason
    assert report.operators[4].reason and not report.operators[0].reason


def test_macs_are_those_of_the_delegate(model):
    for operator in CASES:
        for case, _ in zip(CASES[operator](), range(10), strict=False):
            report = inspection.inspect(case.model)
            assert [op.macs for op in report.operators] == [n.macs for n in report.claims.nodes]


def test_float_islands_are_joined_by_float_tensors(model):
    assert inspection.inspect(model).float_islands == (((0, 4),), ((0, 5),))
    graph = ModelBuilder()
    x = graph.input((1, 4), np.float32)
    tensors = [graph.tensor((1, 4), np.float32) for _ in range(3)]
    for source, target in zip([x, *tensors], tensors, strict=False):
        graph.operator("RELU", [source], [target], version=1)
    assert inspection.inspect(graph.finish([tensors[-1]])).float_islands == (
        ((0, 0), (0, 1), (0, 2)),
    )


def sparse_weights() -> bytes:
    """CONV_2D with 8 input channels: half of the weights zero, a quarter of the 1x4 blocks."""
    model = ModelBuilder()
    x = model.input((1, 4, 4, 8), scale=0.5)
    values = np.ones((4, 1, 1, 8), np.int8)
    values[:2, ..., :4] = 0  # 2 of 8 blocks, whole
    values[2:, ..., ::2] = 0  # every other value
    w = model.constant(values, np.int8, scale=np.full(4, 0.1))
    bias = model.constant(np.zeros(4), np.int32, scale=np.full(4, 0.05))
    y = model.tensor((1, 4, 4, 4), scale=0.5)
    window = dict(strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1, padding=0)
    model.operator("CONV_2D", [x, w, bias], [y], fusedActivationFunction=0, **window)
    return model.finish([y])


def test_an_inspection_tells_how_sparse_weights_are(tmp_path, capsys):
    path = tmp_path / "sparse.tflite"
    path.write_bytes(sparse_weights())
    weights = inspection.inspect(path).operators[0].inputs[1]
    assert (weights.zeros, weights.zero_blocks, weights.sparse) == (0.5, 0.25, False)
    others = inspection.inspect(path).operators[0].outputs
    assert [t.zeros for t in others] == [None]
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    assert "50%/25%" in text
    assert "weights: 32, 50.0% zeros; 25.0% of the 1x4 blocks are zero" in text


def test_an_inspection_lists_what_is_wrong(model, tmp_path, capsys):
    report = inspection.inspect(model)
    assert [f.lint for f in report.findings] == ["weight-range", "float-island", "float-island"]
    target = tmp_path / "report.json"
    assert main(["inspect", str(model), "--json", str(target)]) == 0
    text = capsys.readouterr().out
    assert "lints: 3" in text and all(f"  {finding}" in text for finding in report.findings)
    found = json.loads(target.read_text())["findings"]
    assert [f["lint"] for f in found] == [f.lint for f in report.findings]
    assert found[0]["operator"] == 1 and found[0]["wanted"] == "integers up to 127 in each channel"


def test_a_custom_operator_is_shown_although_the_runtime_refuses_it():
    from int8x.tflite.graph import Graph

    graph = Graph.from_bytes(mixed())
    tanh = graph.main.operators[2]
    tanh.kind, tanh.custom_code, tanh.options = "CUSTOM", "MyOperator", None
    report = inspection.inspect(graph.to_bytes())
    assert report.operators[2].kind == "MyOperator" and report.operators[2].claimed is None
    assert report.claims is None and "MyOperator" in report.problem


def test_a_broken_model_is_a_model_error():
    with pytest.raises(ModelError):
        inspection.inspect(mixed()[:200])


def test_the_command_prints_a_table_and_a_summary(model, capsys):
    assert main(["inspect", str(model)]) == 0
    text = capsys.readouterr().out
    for word in ("CONV_2D", "NEG", "takes 3 of 6 operators", "in 2 partitions"):
        assert word in text
    assert "left: NEG (operator 2): the delegate has no such operator" in text
    assert "float island 1: 4 RELU" in text and "float island 2: 5 RELU" in text


def test_the_command_writes_json(model, tmp_path, capsys):
    target = tmp_path / "report.json"
    assert main(["inspect", str(model), "--json", str(target)]) == 0
    document = json.loads(target.read_text())
    assert document["delegate"]["partitions"] == 2
    assert document["operators"][1]["kind"] == "CONV_2D" and document["operators"][1]["claimed"]
    assert document["float_islands"] == [[[0, 4]], [[0, 5]]]


@pytest.mark.parametrize("command", ["inspect", "benchmark"])
def test_commands_fail_with_status_1_and_a_last_line_that_says_it_all(command, tmp_path, capsys):
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(mixed()[:300])
    missing = tmp_path / "missing.tflite"
    for path, word in ((broken, "broken.tflite"), (missing, "missing.tflite")):
        assert main([command, str(path)]) == 1
        assert word in capsys.readouterr().err.splitlines()[-1]
    good = tmp_path / "good.tflite"
    good.write_bytes(mixed())
    unwritable = str(tmp_path / "nowhere" / "report.json")
    assert main([command, str(good), "--json", unwritable]) == 1
    assert "nowhere" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect"],
        ["benchmark"],
        ["benchmark", "x", "--threads", "0"],
        ["benchmark", "x", "--runner", "ruy"],
    ],
)
def test_wrong_usage_has_status_2(arguments, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err


def test_the_benchmark_command_prints_and_writes(tmp_path, capsys):
    path = tmp_path / "net.tflite"
    path.write_bytes(next(CASES["CONV_2D"]()).model)
    target = tmp_path / "rows.json"
    arguments = ["benchmark", str(path), "--threads", "1", "--threads", "2", "--runs", "2"]
    assert main([*arguments, "--json", str(target), "--profile"]) == 0
    text = capsys.readouterr().out
    assert "net" in text and "xnnpack/int8x" in text and "GMAC/s" in text
    document = json.loads(target.read_text())
    assert [(row["runner"], row["threads"]) for row in document["rows"]] == [
        (runner, threads) for threads in (1, 2) for runner in ("int8x", "xnnpack", "stock")
    ]
