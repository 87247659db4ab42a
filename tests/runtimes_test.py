"""One libint8x_delegate.so serves the current runtimes: ai-edge-litert and TensorFlow's tf.lite
give the same bits with it.
"""

import int8x
import numpy as np
import pytest
from exactness import difference, expected_outputs, reference_outputs, run
from int8x.runtime.interpreter import RUNTIMES, load_runtime
from random_graphs import UNCLAIMED
from write_cases import cases

CURRENT = ("ai_edge_litert", "tf.lite")
# Operators that int8x writes and leaves to the runtime.
LEFT = {UNCLAIMED, "BATCH_TO_SPACE_ND", "DYNAMIC_UPDATE_SLICE", "GATHER_ND", "REVERSE_V2"}


@pytest.mark.parametrize("runtime", CURRENT)
def test_every_operator_equals_the_reference(runtime):
    for number, case in enumerate(cases()):
        interpreter = int8x.Interpreter(case.model, 1 + number % 3, runtime, resolver=case.resolver)
        assert {node.op for node in interpreter.claims.refused} <= LEFT, case.name
        different = difference(expected_outputs(case), run(interpreter, case.feeds))
        assert not different, f"{case.name}: {different}"


@pytest.mark.parametrize("runtime", CURRENT)
def test_the_delegate_loads_by_hand(runtime):
    """As a program without int8x.Interpreter would do it, over the runtime's default kernels."""
    module = load_runtime(runtime)
    case = cases()[0]
    delegate = module.load_delegate(int8x.delegate_path(), {"num_threads": 2})
    interpreter = module.interpreter(model_content=case.model, experimental_delegates=[delegate])
    interpreter.allocate_tensors()
    assert not difference(reference_outputs(case.model, case.feeds), run(interpreter, case.feeds))


@pytest.mark.parametrize("runtime", CURRENT)
@pytest.mark.parametrize("options", [{"colour": "red"}, {"num_threads": "many"}])
def test_a_wrong_option_is_a_value_error_in_each_runtime(runtime, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        load_runtime(runtime).load_delegate(int8x.delegate_path(), options)


def test_auto_takes_ai_edge_litert_first():
    interpreter = int8x.Interpreter(cases()[0].model)
    assert interpreter.runtime.startswith("ai_edge_litert 2.")


def test_a_runtime_that_is_not_installed_is_named():
    with pytest.raises(ImportError, match="tflite_runtime"):
        int8x.Interpreter(cases()[0].model, runtime="tflite_runtime")


def test_an_unknown_runtime_is_a_value_error_that_lists_the_known():
    with pytest.raises(ValueError) as error:
        int8x.Interpreter(cases()[0].model, runtime="onnx")
    for name in ("auto", *RUNTIMES):
        assert name in str(error.value)


def test_outputs_of_the_two_runtimes_are_the_same_objects_in_bits():
    case = cases()[5]
    results = [
        int8x.Interpreter(case.model, runtime=runtime)(*case.feeds[0]) for runtime in CURRENT
    ]
    np.testing.assert_array_equal(*results)
