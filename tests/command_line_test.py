"""The commands: files in, files out, exit status, one last line on stderr that says it all, and no
half-written file.
"""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import int8x
import numpy as np
import pytest
from float_nets import Net, on_grid, small_network
from int8x.quantization.recipe import PRESETS

SHAPE = (1, 8, 8, 3)


@pytest.fixture
def folder(tmp_path):
    small_network().save(tmp_path / "float.tflite")
    np.save(tmp_path / "data.npy", on_grid(SHAPE))
    np.save(tmp_path / "labels.npy", np.zeros(8, np.int64))
    return tmp_path


def run(folder, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "int8x", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def files(folder) -> set[str]:
    return {p.name for p in folder.iterdir()} - {"float.tflite", "data.npy", "labels.npy"}


def test_quantize_with_workers_writes_the_same_file(folder):
    for number, name in ((1, "one.tflite"), (2, "two.tflite")):
        done = run(
            folder, "quantize", "float.tflite", "--data", "data.npy", "--workers", str(number),
            "--output", name,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert (folder / "one.tflite").read_bytes() == (folder / "two.tflite").read_bytes()
    done = run(
        folder, "quantize", "float.tflite", "--data", "data.npy", "--workers", "0",
        "--output", "none.tflite",
    )  # fmt: skip
    assert done.returncode == 2 and "--workers" in done.stderr


def test_a_warning_is_one_line_without_code(folder):
    np.save(folder / "zeros.npy", np.zeros_like(on_grid(SHAPE)))
    done = run(folder, "quantize", "float.tflite", "--data", "zeros.npy", "--output", "o.tflite")
    assert done.returncode == 0
    told = [line for line in done.stderr.splitlines() if "is zero in all 8 samples" in line]
    assert len(told) == 1 and told[0].startswith("warning: float.tflite: input 'x'")
    assert ".py" not in done.stderr


LABELLED = ("--data", "data.npy", "--labels", "none.npy")


def test_calibrate_quantize_and_validate_by_files(folder):
    assert (
        run(
            folder, "calibrate", "float.tflite", "--data", "data.npy", "--output", "stats.npz"
        ).returncode
        == 0
    )
    done = run(
        folder, "quantize", "float.tflite", "--stats", "stats.npz", "--output", "model.int8.tflite"
    )
    assert done.returncode == 0, done.stderr
    assert files(folder) == {"stats.npz", "model.int8.tflite", "model.int8.recipe.json"}
    stats = int8x.calibrate(small_network(), on_grid(SHAPE))
    expected = int8x.quantize(small_network(), stats).to_bytes()
    assert (folder / "model.int8.tflite").read_bytes() == expected
    done = run(
        folder,
        "validate",
        "float.tflite",
        "model.int8.tflite",
        "--data",
        "data.npy",
        "--labels",
        "labels.npy",
        "--json",
        "report.json",
        "--csv",
        "report.csv",
    )
    assert done.returncode == 0, done.stderr
    assert "top-1 agreement" in done.stdout and "accuracy: float" in done.stdout
    report = json.loads((folder / "report.json").read_text())
    assert report["samples"] == 8 and len(report["tensors"]) == 12
    known = [o for o in report["operators"] if o["effect_db"] is not None]
    worst = min(known, key=lambda o: o["effect_db"])
    assert report["worst_operator"] == worst["index"]
    assert done.stdout.splitlines()[-1].startswith(f"lost the most: operator {worst['index']}, ")
    assert (folder / "report.csv").read_text().count("\n") == 1 + 12 + len(report["operators"])


def test_the_options_reach_the_recipe(folder):
    done = run(
        folder,
        "quantize",
        "float.tflite",
        "--data",
        "data.npy",
        "--io",
        "float",
        "--allow-float",
        "--output",
        "m.tflite",
    )
    assert done.returncode == 0, done.stderr
    wanted = dataclasses.replace(PRESETS["int8"], equalize=False, io="float", allow_float=True)
    assert int8x.Recipe.load(folder / "m.recipe.json") == wanted
    again = run(
        folder,
        "quantize",
        "float.tflite",
        "--data",
        "data.npy",
        "--recipe",
        "m.recipe.json",
        "--output",
        "n.tflite",
    )
    assert again.returncode == 0, again.stderr
    assert (folder / "n.tflite").read_bytes() == (folder / "m.tflite").read_bytes()


def test_convert_writes_the_prepared_model(folder):
    assert run(folder, "convert", "float.tflite", "--output", "prepared.tflite").returncode == 0
    from int8x.quantization.passes import prepare

    assert (folder / "prepared.tflite").read_bytes() == prepare(
        int8x.Graph.load(folder / "float.tflite")
    ).to_bytes()


def test_version_and_help_go_to_stdout(folder):
    assert run(folder, "--version").stdout.strip() == int8x.__version__
    assert "quantize" in run(folder, "--help").stdout


@pytest.mark.parametrize(
    "arguments, status, told",
    [
        ([], 2, None),
        (["quantise"], 2, "No such command 'quantise'"),
        (["quantize", "float.tflite", "--data", "data.npy"], 2, "Missing option '--output'"),
        (["quantize", "float.tflite", "--output", "m.tflite"], 2, "give --data or --stats"),
        (
            ["quantize", "float.tflite", "--dta", "data.npy", "--output", "m.tflite"],
            2,
            "--dta",
        ),
        (
            [
                "quantize",
                "float.tflite",
                "--data",
                "data.npy",
                "--io",
                "int9",
                "--output",
                "m.tflite",
            ],
            2,
            "--io must be int8, uint8, int16 or",
        ),
        (
            [
                "quantize",
                "float.tflite",
                "--data",
                "data.npy",
                "--recipe",
                "int9",
                "--output",
                "m.tflite",
            ],
            1,
            "recipe 'int9' is neither",
        ),
        (
            ["quantize", "none.tflite", "--data", "data.npy", "--output", "m.tflite"],
            1,
            "none.tflite: No such file",
        ),
        (
            ["quantize", "data.npy", "--data", "data.npy", "--output", "m.tflite"],
            1,
            "data.npy: not a .tflite file",
        ),
        (
            ["quantize", "float.tflite", "--data", "none.npy", "--output", "m.tflite"],
            1,
            "none.npy: no such file",
        ),
        (
            ["validate", "float.tflite", "float.tflite", *LABELLED],
            1,
            "none.npy: no such file",
        ),
        (
            ["quantize", "float.tflite", "--data", "labels.npy", "--output", "m.tflite"],
            1,
            "takes float32, sample 0 is int64",
        ),
        (
            ["quantize", "float.tflite", "--stats", "data.npy", "--output", "m.tflite"],
            1,
            "data.npy: not statistics",
        ),
        (
            ["quantize", "float.tflite", "--data", "data.npy", "--output", "none/m.tflite"],
            1,
            "its folder does not exist",
        ),
        (
            [
                "calibrate",
                "float.tflite",
                "--data",
                "data.npy",
                "--workers",
                "0",
                "--output",
                "s.npz",
            ],
            2,
            "Invalid value for '--workers': ",
        ),
        (
            ["calibrate", "float.tflite", "--data", "data.npy", "--output", "."],
            1,
            "a file is wanted, this is a folder",
        ),
        (
            [
                "validate",
                "float.tflite",
                "float.tflite",
                "--data",
                "data.npy",
                "--json",
                "none/r.json",
            ],
            1,
            "its folder does not exist",
        ),
        (
            ["convert", "data.npy", "--output", "m.tflite"],
            1,
            "a .keras, .h5 or .tflite file was wanted",
        ),
    ],
)
def test_mistakes_have_their_status_and_a_last_line(folder, arguments, status, told):
    done = run(folder, *arguments)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""
    if told is not None:
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("error: ") and told in last
    assert files(folder) == set()


def test_a_folder_that_cannot_be_written_is_told_before_the_work(folder):
    (folder / "sealed").mkdir()
    (folder / "sealed").chmod(0o500)
    if os.access(
        folder / "sealed", os.W_OK
    ):  # root writes anywhere: a file in the place of the folder does not yield
        (folder / "sealed").rmdir()
        (folder / "sealed").write_bytes(b"")
    started = time.monotonic()
    done = run(
        folder, "quantize", "float.tflite", "--data", "none.npy", "--output", "sealed/m.tflite"
    )
    assert done.returncode == 1 and "sealed/m.tflite: cannot be written" in done.stderr
    assert time.monotonic() - started < 60


def test_operators_without_int8_are_listed_with_status_one(folder):
    net = Net()
    net.done(net.add("SIN", [net.input(1, 4)], 1, 4)).save(folder / "sin.tflite")
    np.save(folder / "four.npy", np.ones((2, 4), np.float32))
    done = run(folder, "quantize", "sin.tflite", "--data", "four.npy", "--output", "m.tflite")
    assert (
        done.returncode == 1
        and "1 operators cannot be made int8: SIN 'sin0'" in done.stderr.splitlines()[-1]
    )
    done = run(
        folder,
        "quantize",
        "sin.tflite",
        "--data",
        "four.npy",
        "--output",
        "m.tflite",
        "--allow-float",
    )
    assert done.returncode == 0 and "left in float: SIN 'sin0'" in done.stderr


# The command itself, which leaves the file `begun` once three samples are through.
SIGNALLING = """
import contextlib, pathlib, sys
from int8x import cli, progress
shown = progress.bar
@contextlib.contextmanager
def bar(*arguments):
    with shown(*arguments) as advance:
        counted = iter(range(10**9))
        def step():
            advance()
            if next(counted) == 2:
                pathlib.Path("begun").touch()
        yield step
progress.bar = bar
sys.exit(cli.main(sys.argv[1:]))
"""


def interrupted(folder, *arguments: str) -> subprocess.CompletedProcess:
    """The command, with SIGINT sent when samples are running."""
    process = subprocess.Popen(
        [sys.executable, "-c", SIGNALLING, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not (folder / "begun").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    (folder / "begun").unlink()
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_during_calibration_keeps_the_samples_and_resume_ends_the_same(folder, workers):
    many = np.concatenate([on_grid(SHAPE, samples=1000, seed=i) for i in range(40)])
    np.save(folder / "many.npy", many)
    arguments = ("calibrate", "float.tflite", "--data", "many.npy", "--output", "stats.npz")
    done = interrupted(folder, *arguments, "--workers", workers)
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines()[-1] == "error: interrupted" and "Traceback" not in done.stderr
    assert files(folder) == {"many.npy", "stats.npz.partial"}
    kept = int8x.Stats.load(folder / "stats.npz.partial").samples
    assert 3 <= kept < len(many)
    np.save(folder / "many.npy", many[: kept + 40])
    done = run(folder, *arguments, "--resume")
    assert done.returncode == 0, done.stderr
    assert files(folder) == {"many.npy", "stats.npz"}
    assert int8x.Stats.load(folder / "stats.npz") == int8x.calibrate(
        small_network(), many[: kept + 40]
    )


@pytest.mark.parametrize("recipe", ["dynamic", "weight_only", "float16"])
def test_recipes_with_float_activations_need_no_data(folder, recipe):
    arguments = ["quantize", "float.tflite", "--recipe", recipe, "--output", "m.tflite"]
    done = run(folder, *arguments)
    assert done.returncode == 0 and f"operators, {recipe}" in done.stdout, done.stderr
    made = int8x.quantize(small_network(), recipe=recipe).to_bytes()
    assert (folder / "m.tflite").read_bytes() == made
    done = run(folder, *arguments, "--data", "data.npy")
    assert done.returncode == 0 and "needs no --data" in done.stderr
    assert (folder / "m.tflite").read_bytes() == made


@pytest.mark.parametrize("recipe", ["int16x8", "int8_w4"])
def test_recipes_with_integer_activations_are_those_of_the_python_api(folder, recipe):
    arguments = ["quantize", "float.tflite", "--recipe", recipe, "--output", "m.tflite"]
    done = run(folder, *arguments, "--data", "data.npy")
    assert done.returncode == 0, done.stderr
    made = int8x.quantize(small_network(), data=on_grid(SHAPE), recipe=recipe).to_bytes()
    assert (folder / "m.tflite").read_bytes() == made
    done = run(
        folder,
        "quantize",
        "float.tflite",
        *("--recipe", "m.recipe.json", "--data", "data.npy", "--output", "again.tflite"),
    )
    assert done.returncode == 0 and (folder / "again.tflite").read_bytes() == made


def test_a_recipe_file_with_rules_reports_what_it_wants_in_float(folder):
    rules = [{"kind": "SOFTMAX", "compute": "float"}]
    (folder / "r.json").write_text(json.dumps({"io": "float", "overrides": rules}))
    arguments = ["quantize", "float.tflite", "--data", "data.npy", "--output", "m.tflite"]
    done = run(folder, *arguments, "--recipe", "r.json")
    assert done.returncode == 0
    assert "left in float: SOFTMAX 'softmax11': the recipe wants it so" in done.stderr
    rules[0]["kind"] = "SOFTMIN"
    (folder / "r.json").write_text(json.dumps({"io": "float", "overrides": rules}))
    done = run(folder, *arguments, "--recipe", "r.json")
    assert done.returncode == 1
    assert "overrides[0]: no operator has kind 'SOFTMIN'" in done.stderr.splitlines()[-1]


def test_ctrl_c_during_quantize_leaves_nothing(folder):
    np.save(
        folder / "many.npy",
        np.concatenate([on_grid(SHAPE, samples=1000, seed=i) for i in range(40)]),
    )
    done = interrupted(
        folder, "quantize", "float.tflite", "--data", "many.npy", "--output", "m.tflite"
    )
    assert done.returncode == 130 and done.stderr.splitlines()[-1] == "error: interrupted"
    assert files(folder) == {"many.npy"}
