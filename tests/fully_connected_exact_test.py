"""FULLY_CONNECTED and BATCH_MATMUL equal the reference bit for bit, on every instruction set and
thread count.
"""

import archs
import pytest
from exactness import assert_exact
from operator_cases import CASES

pytest_plugins = ("arch_report",)


@pytest.mark.parametrize("arch", archs.on_this_cpu())
@pytest.mark.parametrize("operator", ["FULLY_CONNECTED", "BATCH_MATMUL"])
def test_matrix_products_equal_the_reference(operator, arch):
    assert_exact(CASES[operator](300), arch=arch)
