"""Operators that are a table equal the reference bit for bit, on every instruction set and thread
count; ELU, which BUILTIN_REF lacks, equals the stock kernel.
"""

import archs
import pytest
from exactness import assert_exact
from operator_cases import CASES

pytest_plugins = ("arch_report",)

OPERATORS = (
    "RELU",
    "RELU6",
    "RELU_N1_TO_1",
    "LOGISTIC",
    "TANH",
    "LEAKY_RELU",
    "HARD_SWISH",
    "GELU",
    "ELU",
    "EXP",
    "LOG",
    "ABS",
    "RSQRT",
)


@pytest.mark.parametrize("arch", archs.on_this_cpu())
@pytest.mark.parametrize("operator", OPERATORS)
def test_tables_equal_the_reference(operator, arch):
    assert_exact(CASES[operator](192), arch=arch)
