"""int8x demo: it keeps what it promises, and says so when it does not."""

import gzip
import json
import sys

import int8x
import numpy as np
import pytest
from int8x.cli import main
from int8x.demo import datasets, road
from int8x.errors import DataError, Int8xError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The output of one run on the digits."""
    path = tmp_path_factory.mktemp("demo") / "out"
    assert main(["demo", "--output", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def result(folder):
    return json.loads((folder / "result.json").read_text())


def test_float_accuracy_is_at_least_96_percent_on_at_least_850_digits(result):
    assert result["test_images"] >= 850
    assert result["steps"]["float"]["accuracy"] >= 0.96


@pytest.mark.parametrize(
    ("step", "points"), [("calibrated", 0.5), ("QAT", 0.5), ("pruned + QAT", 1.0)]
)
def test_int8_accuracy_is_near_that_of_float(step, points, result):
    steps = result["steps"]
    assert steps[step]["accuracy"] >= steps["float"]["accuracy"] - points / 100


def test_pruning_makes_half_of_the_weights_zero_and_the_zipped_file_smaller(folder, result):
    steps = result["steps"]
    assert result["sparsity"] == pytest.approx(0.5, abs=0.005)
    assert steps["pruned + QAT"]["zipped_bytes"] < 0.85 * steps["QAT"]["zipped_bytes"]
    graph = int8x.Graph.load(folder / "model.int8.tflite")
    weights = [
        op.inputs[1].values
        for op in graph.main.operators
        if op.kind in ("CONV_2D", "FULLY_CONNECTED") and op.inputs[1].values[0].size >= 32
    ]
    zeros = sum(np.count_nonzero(w == 0) for w in weights) / sum(w.size for w in weights)
    assert zeros >= 0.5


def test_the_delegate_is_bit_exact_over_256_inputs_at_1_2_and_4_threads(result):
    assert result["bit_exact"] is True
    assert result["bit_exact_inputs"] >= 256
    assert result["bit_exact_threads"] == [1, 2, 4]


def test_the_delegate_takes_the_whole_net_as_one_partition(result):
    assert (result["claimed_ops"], result["claimed_macs"], result["partitions"]) == (1.0, 1.0, 1)


def test_every_runner_was_timed_and_the_machine_named(result):
    assert set(result["latency_ms"]) == {"int8x", "xnnpack", "stock"}
    assert all(median > 0 for median in result["latency_ms"].values())
    assert all(step["median_ms"] > 0 for step in result["steps"].values())
    assert result["machine"]["cores"] >= 1


def test_no_float_operator_is_left_and_the_file_agrees_with_training(result):
    assert result["float_operators"] == []
    assert result["agreement_with_training"] >= 0.995


def test_the_files_are_kept_and_fit_together(folder, result):
    names = {"float.tflite", "model.int8.tflite", "recipe.json", "stats.npz", "result.json"}
    steps = result["steps"]
    assert names | {step["file"] for step in steps.values()} <= {p.name for p in folder.iterdir()}
    assert steps["pruned + QAT"]["bytes"] < steps["float"]["bytes"] / 2
    for step in steps.values():
        size = (folder / step["file"]).stat().st_size
        assert size == step["bytes"] == result["file_bytes"][step["file"]]
    assert result["float_accuracy"] == steps["float"]["accuracy"]
    assert result["int8_accuracy"] == steps["pruned + QAT"]["accuracy"]
    stats = int8x.Stats.load(folder / "stats.npz")
    int8x.quantize(folder / "float.tflite", stats, recipe=folder / "recipe.json")


def test_broken_promises_end_with_status_1(monkeypatch, capsys, tmp_path, result):
    broken = {**result, "bit_exact": False, "float_operators": ["SIN 'x'"]}

    class Report:
        tensors = (type("Tensor", (), {"sqnr_db": 30.0, "operator": "CONV_2D"}),)

    monkeypatch.setattr(road, "walk", lambda *arguments: (broken, Report))
    assert main(["demo", "--output", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert "bit exact: no" in shown.out
    last = shown.err.strip().splitlines()[-1]
    assert last.startswith("error: 1 float operators are left: SIN 'x'; the delegate's outputs")


def test_an_unknown_data_set_is_wrong_usage(capsys):
    assert main(["demo", "--data", "cifar"]) == 2
    assert "digits, fashion-mnist, got 'cifar'" in capsys.readouterr().err


def test_without_keras_the_demo_says_what_to_install(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.delitem(sys.modules, "int8x.keras.demo", raising=False)
    monkeypatch.delitem(sys.modules, "int8x.keras", raising=False)
    assert main(["demo", "--output", str(tmp_path)]) == 1
    assert "pip install 'int8x[keras]'" in capsys.readouterr().err


def test_an_unwritable_output_folder_is_named(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert main(["demo", "--output", str(tmp_path / "file")]) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err.strip().splitlines()[-1]


def test_missing_fashion_mnist_says_how_to_get_it(tmp_path):
    with pytest.raises(DataError, match="apt-get install dataset-fashion-mnist"):
        datasets.fashion_mnist(tmp_path)


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + array.tobytes())


def test_fashion_mnist_is_read_from_its_idx_files(tmp_path):
    images = np.arange(5 * 28 * 28, dtype=np.uint8).reshape(5, 28, 28)
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(images))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(np.arange(5, dtype=np.uint8)))
    data = datasets.fashion_mnist(tmp_path)
    assert data.x.shape == (5, 28, 28, 1)
    assert np.array_equal(data.x_test[..., 0], images)
    assert data.y.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "content", [b"", b"plain", idx(np.zeros(4, np.uint8))[:-9], gzip.compress(b"\0\0\x09\1")]
)
def test_broken_idx_files_are_refused(tmp_path, content):
    (tmp_path / "broken.gz").write_bytes(content)
    with pytest.raises(Int8xError, match=r"broken\.gz"):
        datasets.read_idx(tmp_path / "broken.gz")
