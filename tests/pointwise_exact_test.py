"""The element-wise operators equal the reference bit for bit, on every instruction set and thread
count.
"""

import archs
import pytest
from exactness import assert_exact
from operator_cases import CASES

pytest_plugins = ("arch_report",)

OPERATORS = (
    "ADD",
    "SUB",
    "MUL",
    "MAXIMUM",
    "MINIMUM",
    "SQUARED_DIFFERENCE",
    "PRELU",
    "SELECT",
    "SELECT_V2",
    "SOFTMAX",
    "QUANTIZE",
    "DEQUANTIZE",
)


@pytest.mark.parametrize("arch", archs.on_this_cpu())
@pytest.mark.parametrize("operator", OPERATORS)
def test_pointwise_operators_equal_the_reference(operator, arch):
    assert_exact(CASES[operator](128), arch=arch)
