"""FULLY_CONNECTED equals the reference bit for bit, on every instruction set and thread count."""

import archs
import pytest
from exactness import assert_exact
from operator_cases import CASES

pytest_plugins = ("arch_report",)


@pytest.mark.parametrize("arch", archs.on_this_cpu())
def test_fully_connected_equals_the_reference(arch):
    assert_exact(CASES["FULLY_CONNECTED"](300), arch=arch)
