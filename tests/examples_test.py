"""The example scripts run as they stand and do what they say."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

EXAMPLES = Path("examples")


def run(script, *arguments):
    done = subprocess.run(
        [sys.executable, EXAMPLES / script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_train_digits_exports_a_net_that_reads_digits(tmp_path):
    output = tmp_path / "digits.tflite"
    printed = run("train_digits.py", output)
    share = float(re.search(r"([0-9.]+)% of 540 test digits", printed).group(1))
    assert share >= 94
    assert output.stat().st_size > 1000


def test_quantize_file_writes_the_int8_model_and_prints_its_errors(tmp_path):
    import keras
    from int8x.exporter import convert

    keras.utils.set_random_seed(0)
    layers = keras.layers
    net = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(3)])
    net.save(tmp_path / "net.keras")
    convert(tmp_path / "net.keras").save(tmp_path / "float.tflite")
    np.save(tmp_path / "data.npy", np.random.default_rng(0).random((40, 6), np.float32))
    printed = run(
        "quantize_file.py", tmp_path / "float.tflite", tmp_path / "data.npy", tmp_path / "q.tflite"
    )
    assert "16 samples" in printed
    assert (tmp_path / "q.tflite").exists()


def test_quantize_file_says_how_it_is_used():
    done = subprocess.run(
        [sys.executable, EXAMPLES / "quantize_file.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "FLOAT.tflite SAMPLES.npy OUTPUT.tflite" in done.stderr
