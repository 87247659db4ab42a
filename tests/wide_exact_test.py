"""16x8 operators and the conversions to and from int16 equal the reference bit for bit, on every
instruction set and thread count.
"""

import archs
import pytest
from cases_wide import MAKERS, wide_cases
from exactness import assert_exact

pytest_plugins = ("arch_report",)


@pytest.mark.parametrize("arch", archs.on_this_cpu())
@pytest.mark.parametrize("operator", MAKERS)
def test_wide_operators_equal_the_reference(operator, arch):
    assert_exact(wide_cases(operator, 72), arch=arch)
