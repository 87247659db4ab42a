"""Files of every precision run in tflite-runtime 2.14, the oldest supported runtime, as today."""

import os

import pytest
from exactness import run
from int8x.runtime.interpreter import load_runtime, open_interpreter
from precision_agreement import disagreement
from written_cases import read


@pytest.fixture(scope="module")
def cases():
    return list(read(os.environ["INT8X_TEST_CASES"]))


def test_every_precision_computes_as_todays_runtime_does(cases):
    runtime = load_runtime("tflite_runtime")
    assert runtime.version.startswith("2.14.") and len(cases) > 200
    for case, expected in cases:
        interpreter = open_interpreter(runtime, case.model, 1, case.resolver)
        assert not disagreement(case, expected, run(interpreter, case.feeds))
        run(open_interpreter(runtime, case.model, 1, "default"), case.feeds[:1])
