"""The delegate's text options: each does what it says, and a wrong one is refused with words."""

import os
import subprocess
import sys

import archs
import int8x
import pytest
from exactness import run
from int8x.runtime.interpreter import load_runtime
from operator_models import ModelBuilder

RUNTIME = load_runtime("ai_edge_litert")


def load(options):
    return RUNTIME.load_delegate(int8x.delegate_path(), options)


def relu_then_logistic() -> bytes:
    model = ModelBuilder()
    x = model.input((1, 16), scale=0.1)
    y = model.tensor((1, 16), scale=0.1)
    z = model.tensor((1, 16), scale=1 / 256, zero_point=-128)
    model.operator("RELU", [x], [y])
    model.operator("LOGISTIC", [y], [z])
    return model.finish([z])


def claimed(**options) -> list[str]:
    interpreter = int8x.Interpreter(relu_then_logistic(), options=options)
    return [node.op for node in interpreter.claims.nodes if node.claimed]


@pytest.mark.parametrize(
    "options, words",
    [
        (
            {"num_thread": 2},
            ["num_thread", "num_threads", "allow_ops", "deny_ops", "arch", "sparse", "log_level"],
        ),
        ({"": 1}, ["unknown option"]),
        ({"NUM_THREADS": 2}, ["NUM_THREADS"]),
        ({"num_threads": 0}, ["num_threads", '"0"']),
        ({"num_threads": -2}, ["num_threads", '"-2"']),
        ({"num_threads": "many"}, ["num_threads", '"many"']),
        ({"num_threads": 2.5}, ["num_threads", '"2.5"']),
        ({"num_threads": ""}, ["num_threads", '""']),
        ({"num_threads": None}, ["num_threads", '"None"']),
        ({"num_threads": 10**20}, ["num_threads"]),
        ({"arch": "avx1024"}, ["arch", '"avx1024"', *archs.ALL]),
        ({"arch": "AVX2"}, ["arch", '"AVX2"']),
        ({"profile": "maybe"}, ["profile", '"maybe"']),
        ({"profile": 2}, ["profile", '"2"']),
        ({"sparse": "yes"}, ["sparse", '"yes"', "auto, on or off"]),
        ({"sparse": ""}, ["sparse", '""', "auto, on or off"]),
        ({"log_level": "loud"}, ["log_level", '"loud"', "silent", "warning", "info"]),
        ({"allow_ops": "CONV_2D,CONV_3D"}, ["allow_ops", '"CONV_3D"', "DEPTHWISE_CONV_2D"]),
        ({"deny_ops": "conv_2d"}, ["deny_ops", '"conv_2d"']),
    ],
)
def test_a_wrong_option_is_a_value_error_that_names_it(options, words):
    with pytest.raises(ValueError) as error:
        load(options)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_threads": -1},
        {"num_threads": 1},
        {"num_threads": "64"},
        {"profile": True},
        {"profile": 0},
        {"log_level": "silent"},
        {"arch": "auto"},
        {"sparse": "auto"},
        {"sparse": "on"},
        {"sparse": "off"},
        {"allow_ops": "", "deny_ops": ""},
        {"allow_ops": "CONV_2D", "deny_ops": "CONV_2D,ADD"},
    ],
)
def test_a_right_option_is_taken(options):
    load(options)


def test_the_interpreter_passes_the_delegates_words_on():
    with pytest.raises(ValueError, match='unknown option "colour"'):
        int8x.Interpreter(relu_then_logistic(), options={"colour": "red"})


@pytest.mark.parametrize("num_threads", [0, -1, 1.5, "2", True, None])
def test_the_interpreter_wants_a_positive_number_of_threads(num_threads):
    with pytest.raises(ValueError, match="num_threads"):
        int8x.Interpreter(relu_then_logistic(), num_threads=num_threads)


def test_allow_ops_and_deny_ops_change_what_is_claimed():
    assert claimed() == ["RELU", "LOGISTIC"]
    assert claimed(allow_ops="RELU") == ["RELU"]
    assert claimed(allow_ops="CONV_2D,LOGISTIC") == ["LOGISTIC"]
    assert claimed(deny_ops="RELU") == ["LOGISTIC"]
    assert claimed(allow_ops="RELU,LOGISTIC", deny_ops="LOGISTIC") == ["RELU"]
    assert claimed(deny_ops="RELU,LOGISTIC") == []


def test_a_denied_operator_is_refused_with_a_reason():
    claims = int8x.Interpreter(relu_then_logistic(), options={"deny_ops": "RELU"}).claims
    assert [(node.op, node.index) for node in claims.refused] == [("RELU", 0)]
    assert "deny_ops" in claims.refused[0].reason
    assert claims.claimed_ops == 0.5


def test_profile_clocks_every_step_and_is_off_without_it():
    for profile in (0, 1):
        interpreter = int8x.Interpreter(relu_then_logistic(), options={"profile": profile})
        feed = interpreter.get_tensor(interpreter.get_input_details()[0]["index"])
        run(interpreter, [[feed]] * 5)
        steps = interpreter.claims.steps
        assert steps
        for step in steps:
            assert step.runs == 5 * profile
            assert (step.nanoseconds > 0) == bool(profile)


def stderr_of(options: dict) -> str:
    script = (
        "import sys, int8x; from delegate_options_test import relu_then_logistic as model; "
        f"int8x.Interpreter(model(), options={options!r}, resolver='stock')"
    )
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    process = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return process.stderr


def test_log_level_decides_what_the_delegate_says():
    assert "int8x" not in stderr_of({"deny_ops": "RELU"})
    assert "int8x" not in stderr_of({"deny_ops": "RELU", "log_level": "silent"})
    assert "RELU" in stderr_of({"deny_ops": "RELU", "log_level": "warning"})
    assert "takes 1 of 2 nodes" in stderr_of({"deny_ops": "RELU", "log_level": "info"})
