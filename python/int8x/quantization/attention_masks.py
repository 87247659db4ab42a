"""Masks of attention: values so low that SOFTMAX makes zero of them, such as -1e9 or the lowest
float. A range that held them would leave the logits beside them one step.
"""

import dataclasses
import math

import numpy as np

from int8x.calibration.density import density_of
from int8x.calibration.tensor_stats import TensorStats

MASKED = -1000.0  # no logit is so low
# So far below every logit a masked value must lie: e^-6.24 is half a step, 1 / 512, of the
# probability beside it.
ROOM = math.log(512)


def unmasked(stats: TensorStats) -> TensorStats | None:
    """The statistics of what SOFTMAX reads without masked values, which lie in [min, MASKED]; None
    when there are none, or nothing else. What is kept of each sample's extremes is not known.
    """
    if not stats.min <= MASKED or not stats.max > MASKED:
        return None
    bins = stats.bins.copy()
    lowest = int(np.float32(MASKED).view(np.uint32)) >> 16
    bins[lowest:] = 0  # negative ones, from -1000 down: the bins are those of the upper 16 bits
    rest = dataclasses.replace(stats, bins=bins, count=int(bins.sum()), min=MASKED)
    return dataclasses.replace(rest, min=float(density_of(rest).low[0]))
