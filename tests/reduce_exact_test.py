"""Reductions, normalizations and bilinear resizing equal the reference bit for bit, on every
instruction set and thread count; SUM, where the reference is wrong, equals its formula.
"""

import archs
import pytest
from exactness import assert_exact
from operator_cases import CASES

pytest_plugins = ("arch_report",)

OPERATORS = (
    "MEAN",
    "SUM",
    "REDUCE_MAX",
    "REDUCE_MIN",
    "L2_NORMALIZATION",
    "LOG_SOFTMAX",
    "RESIZE_BILINEAR",
)


@pytest.mark.parametrize("arch", archs.on_this_cpu())
@pytest.mark.parametrize("operator", OPERATORS)
def test_reducing_operators_equal_the_reference(operator, arch):
    assert_exact(CASES[operator](128), arch=arch)
