"""CONV_2D, DEPTHWISE_CONV_2D and TRANSPOSE_CONV equal the reference bit for bit, on every
instruction set and thread count.
"""

import archs
import pytest
from exactness import assert_exact
from operator_cases import CASES

pytest_plugins = ("arch_report",)


@pytest.mark.parametrize("arch", archs.on_this_cpu())
@pytest.mark.parametrize("operator", ["CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"])
def test_convolutions_equal_the_reference(operator, arch):
    assert_exact(CASES[operator](300), arch=arch)
