"""TensorFlow Lite Micro's interpreter runs the operators that it has with the bits of BUILTIN_REF.

Where it does not, docs/numerics.md says how: FULLY_CONNECTED and LOGISTIC are fixed point there,
off by one at most; RELU6 and TANH take only the grids that they are made for.
"""

import os

import numpy as np
import pytest
from tflite_micro import runtime
from written_cases import read

ARENA_BYTES = 1 << 22
EXACT = [
    "ABS",
    "ADD",
    "AVERAGE_POOL_2D",
    "BROADCAST_TO",
    "CONCATENATION",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "DEPTH_TO_SPACE",
    "DEQUANTIZE",
    "ELU",
    "EXPAND_DIMS",
    "GATHER",
    "HARD_SWISH",
    "LEAKY_RELU",
    "MAXIMUM",
    "MAX_POOL_2D",
    "MEAN",
    "MINIMUM",
    "MIRROR_PAD",
    "MUL",
    "PACK",
    "PAD",
    "PADV2",
    "PRELU",
    "QUANTIZE",
    "RELU",
    "RESHAPE",
    "RESIZE_NEAREST_NEIGHBOR",
    "RSQRT",
    "SELECT_V2",
    "SLICE",
    "SOFTMAX",
    "SPACE_TO_DEPTH",
    "SPLIT",
    "SPLIT_V",
    "SQUARED_DIFFERENCE",
    "SQUEEZE",
    "SUB",
    "TRANSPOSE",
    "UNPACK",
]
OFF_BY_ONE = ("FULLY_CONNECTED", "LOGISTIC")
# What TFLM has no int8 kernel for, or none of that name.
ABSENT = ("EXP", "GELU", "LOG", "RELU_N1_TO_1", "TILE")


@pytest.fixture(scope="module")
def cases():
    found: dict = {}
    for case, expected in read(os.environ["INT8X_TEST_CASES"]):
        found.setdefault(case.operator, []).append((case, expected))
    return found


def largest_error(case, expected) -> int:
    """Over all feeds and outputs; 0 is equal bit for bit. Raises RuntimeError when TFLM refuses."""
    interpreter = runtime.Interpreter.from_bytes(case.model, arena_size=ARENA_BYTES)
    worst = 0
    for feed, outputs in zip(case.feeds, expected, strict=True):
        for place, array in enumerate(feed):
            interpreter.set_input(array, place)
        interpreter.invoke()
        for place, wanted in enumerate(outputs):
            got = interpreter.get_output(place)
            assert got.dtype == wanted.dtype and got.shape == wanted.shape
            if got.tobytes() != wanted.tobytes():
                worst = max(worst, 1, int(np.abs(got.astype(int) - wanted.astype(int)).max()))
    return worst


@pytest.mark.parametrize("operator", EXACT)
def test_an_operator_has_the_bits_of_the_reference(cases, operator):
    assert len(cases[operator]) >= 10
    for case, expected in cases[operator]:
        assert largest_error(case, expected) == 0, case.name


@pytest.mark.parametrize("operator", OFF_BY_ONE)
def test_what_is_fixed_point_there_is_off_by_one_at_most(cases, operator):
    errors = [largest_error(case, expected) for case, expected in cases[operator]]
    print(operator, "differs in", sum(map(bool, errors)), "of", len(errors), "cases")
    assert max(errors) == 1


@pytest.mark.parametrize("operator", ABSENT)
def test_what_it_lacks_is_refused(cases, operator):
    for case, expected in cases[operator][:2]:
        with pytest.raises(RuntimeError):
            largest_error(case, expected)


def test_graphs_have_the_bits_of_the_reference(cases):
    equal = 0
    for case, expected in cases["graph"]:
        try:
            error = largest_error(case, expected)
        except (RuntimeError, ValueError):
            continue  # an operator that TFLM lacks
        kinds = case.name.split()
        assert error == 0 or any(kind in kinds for kind in (*OFF_BY_ONE, "RELU6", "TANH")), (
            case.name
        )
        equal += not error
    print(equal, "graphs are equal")
    assert equal >= 15
