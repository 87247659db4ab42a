"""Pooling and the plain moving operators equal the reference bit for bit, on every instruction set
and thread count.
"""

import archs
import pytest
from exactness import assert_exact
from operator_cases import CASES

pytest_plugins = ("arch_report",)


@pytest.mark.parametrize("arch", archs.on_this_cpu())
@pytest.mark.parametrize(
    "operator", ["AVERAGE_POOL_2D", "MAX_POOL_2D", "RESHAPE", "PAD", "CONCATENATION"]
)
def test_pooling_and_moving_operators_equal_the_reference(operator, arch):
    assert_exact(CASES[operator](128), arch=arch)
