"""Files of every precision run in TensorFlow's tf.lite as in ai-edge-litert."""

import pytest
from exactness import run
from int8x.runtime.interpreter import load_runtime, open_interpreter
from precision_agreement import disagreement
from precision_models import cases

RUNTIMES = ("ai_edge_litert", "tf.lite")


@pytest.fixture(scope="module")
def made():
    return cases()


def test_every_precision_computes_the_same_in_both_runtimes(made):
    assert len(made) > 250
    for case in made:
        results = [
            run(open_interpreter(load_runtime(name), case.model, 1, case.resolver), case.feeds)
            for name in RUNTIMES
        ]
        assert not disagreement(case, *results)


def test_the_default_kernels_load_every_file_in_both_runtimes(made):
    for case in made:
        for name in RUNTIMES:
            run(open_interpreter(load_runtime(name), case.model, 1, "default"), case.feeds[:1])
