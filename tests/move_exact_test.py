"""The operators that move bytes equal the reference bit for bit, on every thread count.

They have one form on every instruction set, so the arch is not forced here (forced_arch_test.py
does).
"""

import pytest
from cases_move import MAKERS
from exactness import assert_exact
from operator_cases import CASES


@pytest.mark.parametrize("operator", MAKERS)
def test_moving_operators_equal_the_reference(operator):
    assert_exact(CASES[operator](150))
