"""The timing harness runs its peers in turn, counts rightly, and writes one documented form."""

import contextlib
import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import int8x
import numpy as np
import pytest
from int8x import benchmark_tables, benchmarking, machine
from int8x.benchmarking import Row
from operator_cases import CASES

MODEL = next(CASES["FULLY_CONNECTED"]()).model
ROWS = [
    Row("a", "int8x", 1, 1.0, 1.5, 30),
    Row("a", "xnnpack", 1, 2.0, 2.5, 30),
    Row("a", "int8x", 2, 0.5, 0.6, 30),
    Row("b", "stock", 1, 9.0, 9.5, 30),
]


def test_every_runner_has_one_turn_in_each_round_in_changing_order(monkeypatch):
    """A turn is one run that is not timed and, here, two that are."""
    monkeypatch.setattr(benchmarking, "_repeats", lambda run: 2)
    turns = []
    times = benchmarking.time_in_turn(
        {name: lambda name=name: turns.append(name) for name in "abc"}, rounds=12
    )
    assert {name: len(record) for name, record in times.items()} == {"a": 24, "b": 24, "c": 24}
    rounds = [turns[start : start + 9] for start in range(0, len(turns), 9)]
    assert len(rounds) == 12
    for order in rounds:
        assert sorted(order[::3]) == ["a", "b", "c"] and order == [
            name for name in order[::3] for _ in range(3)
        ]
    assert len({tuple(order) for order in rounds}) > 2


def test_times_are_those_of_the_runs():
    import time

    times = benchmarking.time_in_turn(
        {"quick": lambda: None, "slow": lambda: time.sleep(0.01)}, rounds=5
    )
    assert len(times["slow"]) == 5
    assert len(times["quick"]) == 5 * 64
    assert 1e7 <= np.median(times["slow"]) < 3e7
    assert np.median(times["quick"]) < 1e5


def test_a_count_of_rounds_below_one_is_refused():
    with pytest.raises(ValueError, match="rounds must be at least 1, got 0"):
        benchmarking.time_in_turn({"a": lambda: None}, rounds=0)


def test_compare_gives_a_row_for_every_runner_and_shows_progress():
    seen = []

    @contextlib.contextmanager
    def progress(title, total=None, done=0):
        seen.append((title, total))
        yield lambda: seen.append("round")

    rows = benchmarking.compare(
        MODEL, benchmarking.RUNNERS, threads=2, rounds=3, name="fc", progress=progress
    )
    assert [row.runner for row in rows] == list(benchmarking.RUNNERS)
    assert {(row.model, row.threads) for row in rows} == {("fc", 2)}
    for row in rows:
        assert 0 < row.median_ms <= row.p90_ms and row.runs >= 3
    assert seen == [("fc, threads: 2", 3), "round", "round", "round"]


def test_the_runners_int8x_and_dense_run_the_delegate_and_the_others_do_not():
    runner = benchmarking.open_runner(MODEL, "int8x", 2)
    assert isinstance(runner, int8x.Interpreter) and runner.claims.claimed_ops == 1
    dense = benchmarking.open_runner(MODEL, "dense", options={"sparse": "on"})
    (step,) = dense.claims.steps
    assert not step.kernel.startswith("sparse_")
    for name in ("xnnpack", "stock", "reference"):
        assert not isinstance(benchmarking.open_runner(MODEL, name), int8x.Interpreter)
    with pytest.raises(ValueError, match="int8x, dense, xnnpack, stock, reference; got 'ruy'"):
        benchmarking.open_runner(MODEL, "ruy")


def test_random_inputs_cover_the_type_and_repeat():
    bytes_ = benchmarking.random_input((1000,), np.int8)
    assert bytes_.dtype == np.int8 and bytes_.min() == -128 and bytes_.max() == 127
    np.testing.assert_array_equal(bytes_, benchmarking.random_input((1000,), np.int8))
    assert benchmarking.random_input((10,), np.uint8).dtype == np.uint8
    floats = benchmarking.random_input((1000,), np.float32)
    assert floats.dtype == np.float32 and 0 <= floats.min() < floats.max() < 1
    words = benchmarking.random_input((1000,), np.int16)
    assert words.dtype == np.int16 and words.min() < -30000 and words.max() > 30000
    assert not benchmarking.random_input((10,), np.int32).any()


def test_a_ratio_compares_like_with_like():
    assert benchmarking.ratio(ROWS, "a", 1, "xnnpack") == 2.0
    assert benchmarking.ratio(ROWS, "a", 2, "xnnpack") is None
    assert benchmarking.ratio(ROWS, "b", 1, "stock") is None


def test_a_file_has_the_documented_form(tmp_path):
    path = tmp_path / "rows.json"
    benchmarking.save(path, ROWS, command="int8x benchmark a.tflite")
    document = json.loads(path.read_text())
    assert list(document) == ["schema", "machine", "versions", "command", "rows"]
    assert document["schema"] == "int8x-benchmark-1"
    assert document["command"] == "int8x benchmark a.tflite"
    assert document["rows"][0] == dict(
        model="a", runner="int8x", threads=1, median_ms=1.0, p90_ms=1.5, runs=30
    )
    assert len(document["rows"]) == len(ROWS)
    assert document["machine"]["cpu"] and document["machine"]["cores"] >= 1
    assert document["versions"]["python"] and document["versions"]["numpy"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.json"]


def test_nothing_is_written_when_the_folder_is_missing(tmp_path):
    with pytest.raises(OSError):
        benchmarking.save(tmp_path / "missing" / "rows.json", ROWS)
    assert not list(tmp_path.iterdir())


def test_the_machine_is_described_without_its_name():
    import platform

    described = machine.machine()
    assert set(described) == {"cpu", "architecture", "cores", "features", "system", "governor"}
    assert platform.node() not in json.dumps(described) or len(platform.node()) < 4


def test_the_table_shows_medians_and_ratios():
    from rich.console import Console

    console = Console(width=120, record=True, file=StringIO())
    console.print(benchmark_tables.medians(ROWS))
    text = console.export_text()
    assert "xnnpack/int8x" in text and "2.00" in text


def test_the_profile_has_a_time_for_every_step():
    claims = benchmarking.profile(MODEL, threads=1, runs=7)
    assert [step.op for step in claims.steps] == ["FULLY_CONNECTED"]
    assert claims.steps[0].runs == 7 and claims.steps[0].nanoseconds > 0
    from rich.console import Console

    console = Console(width=160, record=True, file=StringIO())
    console.print(benchmark_tables.steps(claims))
    assert "FULLY_CONNECTED" in console.export_text()


def test_the_script_for_networks_prints_and_writes(tmp_path):
    script = Path(__file__).parent.parent / "benchmarks" / "models.py"
    command = [sys.executable, str(script), "--models", "ds_cnn", "--threads", "1", "--rounds", "3"]
    command += ["--cache", str(tmp_path / "cache"), "--output", str(tmp_path / "rows.json")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert "ds_cnn" in process.stdout and "xnnpack/int8x" in process.stdout
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [row["runner"] for row in rows] == ["int8x", "xnnpack", "stock"]
    assert list((tmp_path / "cache").glob("*/ds_cnn.tflite"))
