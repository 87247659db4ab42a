"""The same libint8x_delegate.so in tflite-runtime 2.14, the oldest supported runtime: the bits of
today's reference.
"""

import os
from pathlib import Path

import int8x
import numpy as np
import pytest
from int8x.runtime import claims
from int8x.runtime.interpreter import load_runtime, open_interpreter
from profilers import SubgraphProfiler, attach
from written_cases import read

THREADS = (1, 2, 4)
ABSENT = ("LOG",)  # this runtime has it in float alone


@pytest.fixture(scope="module")
def cases():
    return list(read(os.environ["INT8X_TEST_CASES"]))


def test_the_oldest_runtime_is_what_runs():
    assert load_runtime("auto").name == "tflite_runtime"
    assert load_runtime("tflite_runtime").version.startswith("2.14.")


def test_every_operator_equals_todays_reference(cases):
    assert len(cases) > 200
    for number, (case, expected) in enumerate(cases):
        if case.operator == "quantized":
            continue
        if case.operator in ABSENT:
            with pytest.raises(int8x.ModelError, match=f"op for builtin opcode '{case.operator}'"):
                int8x.Interpreter(case.model, resolver=case.resolver)
            continue
        interpreter = int8x.Interpreter(case.model, THREADS[number % 3], resolver=case.resolver)
        refused = {node.index for node in interpreter.claims.refused}
        assert not refused or case.operator == "graph", case.name
        for feed, outputs in zip(case.feeds, expected, strict=True):
            got = interpreter(*feed)
            for wanted, result in zip(
                outputs, got if isinstance(got, tuple) else (got,), strict=True
            ):
                assert wanted.tobytes() == result.tobytes(), case.name


def test_what_int8x_writes_loads_in_the_oldest_runtime_and_computes_the_same(cases):
    """Versions are the lowest that the types need; FULLY_CONNECTED is off by one at most there, and
    is broken for weights per channel and results of more than two dimensions.
    """
    from tflite_runtime.interpreter import Interpreter, OpResolverType

    written = [(case, expected) for case, expected in cases if case.operator == "quantized"]
    assert len(written) > 60
    for case, expected in written:
        interpreter = Interpreter(
            model_content=case.model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
        )
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], case.feeds[0][0])
        interpreter.invoke()
        if case.name == "FULLY_CONNECTED keeps dimensions":
            continue
        for detail, wanted in zip(interpreter.get_output_details(), expected[0], strict=True):
            got = interpreter.get_tensor(detail["index"])
            allowed = 1 if case.name.startswith("FULLY_CONNECTED") else 0
            assert np.abs(got.astype(int) - wanted.astype(int)).max() <= allowed, case.name


def test_the_runtime_s_profiler_is_told_of_each_step_of_each_run(cases):
    import tflite_runtime

    runtime, (case, _) = load_runtime(), next(c for c in cases if c[0].operator == "graph")
    library = Path(tflite_runtime.__file__).parent / "_pywrap_tensorflow_interpreter_wrapper.so"
    profiler = SubgraphProfiler(str(library), 7)
    delegate = runtime.load_delegate(int8x.delegate_path(), {})
    kept = attach(delegate, profiler.address)
    interpreter = open_interpreter(runtime, case.model, 1, "stock", [delegate])
    for _ in range(3):
        interpreter.invoke()
    steps = claims.of_delegate(delegate, int8x.delegate_path()).steps
    events = profiler.operators()
    assert [(e.op, e.node, e.subgraph) for e in events] == [(s.op, s.node, 7) for s in steps] * 3
    del interpreter, delegate, kept


def test_a_wrong_option_is_a_value_error(cases):
    with pytest.raises(ValueError, match='unknown option "colour"'):
        int8x.Interpreter(cases[0][0].model, options={"colour": "red"})


def test_a_resized_batch_runs(cases):
    case, expected = next(
        (c, e) for c, e in cases if c.operator == "RELU" and c.feeds[0][0].ndim == 2
    )
    interpreter = int8x.Interpreter(case.model, 2)
    (feed,), (output,) = case.feeds[0], expected[0]
    for batch in (3, 1, 2):
        interpreter.resize_tensor_input(
            interpreter.get_input_details()[0]["index"], (batch, feed.shape[1])
        )
        interpreter.allocate_tensors()
        assert (
            interpreter(feed.repeat(batch, axis=0)).tobytes()
            == output.repeat(batch, axis=0).tobytes()
        )


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x00" * 100, bytes(range(256)) * 4])
def test_a_broken_model_is_a_model_error(content):
    from int8x.errors import ModelError

    with pytest.raises(ModelError):
        int8x.Interpreter(content)


def test_a_truncated_model_is_a_model_error(cases):
    from int8x.errors import ModelError

    content = cases[0][0].model
    for size in (8, 20, len(content) // 2, len(content) - 16):
        with pytest.raises(ModelError):
            int8x.Interpreter(content[:size])
