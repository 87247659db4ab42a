"""Whether a runtime computes a model of any precision as another one did; needs numpy alone."""

import numpy as np
from operator_case import Case

# Two sums of 144 float products differ by less than this share of the largest result.
_FLOAT_TOLERANCE = 144 * 2.0**-23


def disagreement(case: Case, wanted: list[list[np.ndarray]], got: list[list[np.ndarray]]) -> str:
    """Empty when integers are equal and floats as close as float32 sums are."""
    for expected, actual in zip(
        (array for outputs in wanted for array in outputs),
        (array for outputs in got for array in outputs),
        strict=True,
    ):
        if expected.dtype != actual.dtype or expected.shape != actual.shape:
            return f"{case.name}: {expected.dtype}{expected.shape}, {actual.dtype}{actual.shape}"
        error = np.abs(expected.astype(np.float64) - actual.astype(np.float64)).max(initial=0)
        allowed = 0.0
        if expected.dtype.kind == "f":
            allowed = _FLOAT_TOLERANCE * np.abs(expected).max(initial=0)
        if error > allowed:
            return f"{case.name}: off by {error:g}, {allowed:g} at most"
    return ""
