"""The checker of exactness sees what it must see: one wrong bit, a wrong shape, another type, a
node left out.
"""

import numpy as np
import pytest
from exactness import difference, expected_outputs, fault
from operator_case import Case
from operator_cases import CASES


def first_case(operator: str = "CONV_2D") -> Case:
    return next(CASES[operator]())


def test_equal_outputs_have_no_difference():
    case = first_case()
    assert difference(expected_outputs(case), expected_outputs(case)) == ""


@pytest.mark.parametrize("operator", ["CONV_2D", "DEQUANTIZE"])
def test_one_flipped_bit_is_seen(operator):
    case = first_case(operator)
    expected = expected_outputs(case)
    for feed, outputs in enumerate(expected):
        for bit in (0, outputs[0].nbytes * 8 - 1):
            actual = [[output.copy() for output in outputs] for outputs in expected]
            actual[feed][0].view(np.uint8).reshape(-1)[bit // 8] ^= 1 << bit % 8
            assert difference(expected, actual).startswith(f"feed {feed} output 0: 1 of ")


def test_a_float_zero_of_the_other_sign_is_seen():
    assert difference([[np.zeros(3, np.float32)]], [[-np.zeros(3, np.float32)]])


def test_another_shape_or_type_is_seen():
    outputs = [[np.zeros((2, 3), np.int8)]]
    assert "int8(3, 2)" in difference(outputs, [[np.zeros((3, 2), np.int8)]])
    assert "uint8(2, 3)" in difference(outputs, [[np.zeros((2, 3), np.uint8)]])


def test_a_wrong_delegate_result_is_reported():
    case = first_case()
    expected = [[output ^ 1 for output in outputs] for outputs in expected_outputs(case)]
    assert case.name in fault(case, expected, 1)


def test_a_node_that_is_not_claimed_is_reported():
    case = first_case()
    expected = expected_outputs(case)
    assert "was not claimed" in fault(case, expected, 1, deny_ops="CONV_2D")


@pytest.mark.parametrize("operator", CASES)
def test_the_cases_of_each_operator_are_many_and_of_that_operator(operator):
    cases = list(CASES[operator]())
    assert len(cases) >= 24
    assert {case.operator for case in cases} == {operator}
    assert len({case.model for case in cases}) > 0.9 * len(cases)


@pytest.mark.parametrize(
    "operator", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MUL", "MEAN"]
)
def test_the_cases_are_not_all_saturated(operator):
    """Somewhere between the ends of the range lies a fair share of the results, or equality would
    prove little.
    """
    inside = []
    for case in CASES[operator]():
        outputs = expected_outputs(case)[0][0]
        inside.append(np.mean((outputs > outputs.min()) & (outputs < outputs.max())))
    assert np.mean(inside) > 0.3
