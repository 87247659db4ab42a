"""Every block of docs/migration.md runs, in order, and its models become full int8."""

import os
import re
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

_GUIDE = Path(__file__).parent.parent / "docs" / "migration.md"


def build(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.Conv2D(8, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """What the blocks left behind."""
    random = np.random.default_rng(0)
    space = {"build": build, "x": random.random((64, 8, 8, 1), np.float32)}
    space["y"] = random.integers(0, 4, 64)
    blocks = re.findall(r"```python\n(.*?)```", _GUIDE.read_text(), re.DOTALL)
    assert len(blocks) >= 5
    before = Path.cwd()
    space["folder"] = tmp_path_factory.mktemp("guide")
    os.chdir(space["folder"])
    try:
        for number, block in enumerate(blocks):
            exec(compile(block, f"{_GUIDE.name}, block {number + 1}", "exec"), space)
    finally:
        os.chdir(before)
    return space


def test_every_model_of_the_guide_computes_in_int8(space):
    from int8x.tflite.graph import load

    files = sorted(path.name for path in space["folder"].glob("*.tflite"))
    assert files == [f"{n}.tflite" for n in ("loop", "model", "pruned", "quantized", "sparse")]
    for name in files:
        graph = load((space["folder"] / name).read_bytes())
        for op in graph.main.operators:
            assert not any(t.is_float for t in op.outputs), (name, op.kind)


def test_pruned_models_of_the_guide_have_their_zeros(space):
    from int8x.tflite.graph import load

    for name in ("pruned", "sparse", "loop"):
        graph = load((space["folder"] / f"{name}.tflite").read_bytes())
        for op in graph.main.operators:
            if op.kind in ("CONV_2D", "FULLY_CONNECTED"):
                zeros = np.mean(op.input(1).values == 0)
                assert zeros >= 0.49, (name, op.name, zeros)


def test_weights_moved_from_tf_keras_give_the_same_outputs(space):
    old = space["old"].predict(space["x"], verbose=0)
    new = space["new"].predict(space["x"], verbose=0)
    # float32 sums of at most 72 products, in another order
    np.testing.assert_allclose(new, old, rtol=0, atol=1e-5)
