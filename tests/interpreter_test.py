"""int8x.Interpreter: calls by order and by name, TFLite's own methods, claims, and errors that name
what is wrong.
"""

import dataclasses
import json

import int8x
import numpy as np
import pytest
from exactness import reference_outputs
from int8x.errors import ModelError
from int8x.runtime import claims as claims_module
from int8x.runtime import interpreter as runtime_module
from operator_cases import CASES
from operator_models import ModelBuilder


def two_inputs_two_outputs() -> bytes:
    """t0 + t1 as t2 and RELU(t2) as t3."""
    q = dict(scale=0.5, zero_point=0)
    model = ModelBuilder()
    a, b = model.input((1, 4), **q), model.input((1, 4), **q)
    c, d = model.tensor((1, 4), **q), model.tensor((1, 4), **q)
    model.operator("ADD", [a, b], [c], fusedActivationFunction=0)
    model.operator("RELU", [c], [d])
    return model.finish([c, d])


A, B = np.array([[1, -2, 3, -4]], np.int8), np.array([[10, -20, -5, 6]], np.int8)


def test_a_call_takes_arrays_in_order_or_by_name():
    interpreter = int8x.Interpreter(two_inputs_two_outputs())
    for results in (interpreter(A, B), interpreter(t1=B, t0=A)):
        assert isinstance(results, tuple) and len(results) == 2
        np.testing.assert_array_equal(results[0], [[11, -22, -2, 2]])
        np.testing.assert_array_equal(results[1], [[11, 0, 0, 2]])


def test_one_output_is_returned_bare():
    case = next(CASES["CONV_2D"]())
    expected = reference_outputs(case.model, case.feeds)[0][0]
    np.testing.assert_array_equal(int8x.Interpreter(case.model)(*case.feeds[0]), expected)


@pytest.mark.parametrize(
    "arrays, named, words",
    [
        ((A,), {}, "2 inputs, got 1"),
        ((A, B, A), {}, "2 inputs, got 3"),
        ((A,), {"t1": B}, "in order or by name"),
        ((), {"t0": A}, "t1"),
        ((), {"t0": A, "image": B}, "no input 'image'; it has t0, t1"),
        ((A, B[:, :3]), {}, r"t1: wanted shape \(1, 4\), got \(1, 3\)"),
        ((A[0], B), {}, r"t0: wanted shape \(1, 4\), got \(4,\)"),
    ],
)
def test_a_wrong_call_is_a_value_error_that_says_what_was_wanted(arrays, named, words):
    with pytest.raises(ValueError, match=words):
        int8x.Interpreter(two_inputs_two_outputs())(*arrays, **named)


def test_a_wrong_type_is_named():
    with pytest.raises(TypeError, match="t1: wanted int8, got int64"):
        int8x.Interpreter(two_inputs_two_outputs())(A, B.astype(np.int64))


def test_tflites_own_methods_are_there():
    interpreter = int8x.Interpreter(two_inputs_two_outputs())
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.allocate_tensors()
    interpreter.set_tensor(inputs[0]["index"], A)
    interpreter.set_tensor(inputs[1]["index"], B)
    interpreter.invoke()
    np.testing.assert_array_equal(interpreter.get_tensor(outputs[1]["index"]), [[11, 0, 0, 2]])
    assert interpreter.get_tensor_details()[0]["name"] == "t0"
    assert interpreter.get_signature_list() == {}
    with pytest.raises(AttributeError):
        interpreter.no_such_method()


def test_a_path_and_bytes_give_the_same(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(two_inputs_two_outputs())
    for model in (path, str(path), two_inputs_two_outputs(), bytearray(two_inputs_two_outputs())):
        np.testing.assert_array_equal(int8x.Interpreter(model)(A, B)[1], [[11, 0, 0, 2]])


def test_claims_are_frozen_and_tell_nodes_steps_and_sizes():
    claims = int8x.Interpreter(two_inputs_two_outputs(), num_threads=2).claims
    assert (claims.claimed_ops, claims.claimed_macs, claims.partitions, claims.refused) == (
        1.0,
        1.0,
        1,
        (),
    )
    assert [node.op for node in claims.nodes] == ["ADD", "RELU"]
    assert [step.node for step in claims.steps] == [0, 1]
    assert claims.threads == 2
    assert claims.subgraphs[0].partitions[0].node_count == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        claims.threads = 3


def test_macs_are_counted_and_shared_out():
    case = next(case for case in CASES["FULLY_CONNECTED"]() if len(case.feeds[0][0].shape) == 2)
    output = reference_outputs(case.model, case.feeds)[0][0]
    macs = output.size * case.feeds[0][0].shape[1]
    taken = int8x.Interpreter(case.model, resolver="reference").claims
    left = int8x.Interpreter(
        case.model, options={"deny_ops": "FULLY_CONNECTED"}, resolver="reference"
    ).claims
    assert [node.macs for node in taken.nodes] == [node.macs for node in left.nodes] == [macs]
    assert sum(step.macs for step in taken.steps) == macs
    assert (taken.claimed_macs, left.claimed_macs) == (1.0, 0.0)
    assert taken.packed_bytes > 0 and left.packed_bytes == 0


def test_an_operator_the_delegate_does_not_know_is_named():
    model = ModelBuilder()
    x = model.input((1, 4), scale=0.1)
    y = model.tensor((1, 4), scale=0.1)
    model.operator("NEG", [x], [y])
    (node,) = int8x.Interpreter(model.finish([y])).claims.refused
    assert (node.op, node.claimed) == ("NEG", False)
    assert "no such operator" in node.reason


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.tflite"):
        int8x.Interpreter(tmp_path / "nowhere.tflite")
    with pytest.raises(OSError, match="not a file"):
        int8x.Interpreter(tmp_path)
    with pytest.raises(TypeError, match="path or the bytes"):
        int8x.Interpreter(3)


def test_a_broken_model_is_a_model_error(tmp_path):
    good = two_inputs_two_outputs()
    broken = [b"", b"TFL3", bytes(500), good[:20], good[: len(good) // 2], good[4:]]
    broken.append(np.random.default_rng(0).bytes(4000))
    broken.append(good[:8] + np.random.default_rng(1).bytes(4000))
    for number, content in enumerate(broken):
        path = tmp_path / f"{number}.tflite"
        path.write_bytes(content)
        with pytest.raises(ModelError, match=rf"{number}\.tflite"):
            int8x.Interpreter(path)
        with pytest.raises(ModelError):
            int8x.Interpreter(content)


def test_an_index_out_of_range_is_a_model_error():
    model = ModelBuilder()
    x = model.input((1, 4), scale=0.1)
    model.operator("RELU", [x], [1234])
    with pytest.raises(ModelError):
        int8x.Interpreter(model.finish([x]))


def test_a_missing_library_names_the_command_that_builds_it(monkeypatch, tmp_path):
    monkeypatch.setattr(runtime_module, "__file__", str(tmp_path / "runtime.py"))
    with pytest.raises(FileNotFoundError, match=r"libint8x_delegate\.so.*pip install"):
        int8x.delegate_path()


def test_the_delegates_text_becomes_claims():
    node = dict(node=0, builtin=3, op="CONV_2D", claimed=True, reason="", macs=30)
    left = dict(node=1, builtin=28, op="", claimed=False, reason="no such operator", macs=10)
    step = dict(op="CONV_2D", kernel="k_avx2", node=0, macs=30, nanoseconds=5, runs=1)
    partition = dict(node_count=1, arena_bytes=64, packed_bytes=32, steps=[step])
    subgraph = dict(index=0, nodes=[node, left], partitions=[partition])
    text = json.dumps(dict(version="0.1.0", arch="avx2", threads=3, subgraphs=[subgraph]))
    claims = claims_module.from_json(text)
    assert (claims.claimed_ops, claims.claimed_macs, claims.partitions) == (0.5, 0.75, 1)
    assert (claims.arena_bytes, claims.packed_bytes) == (64, 32)
    assert [node.op for node in claims.refused] == ["TANH"]
    assert claims.steps[0].kernel == "k_avx2"
