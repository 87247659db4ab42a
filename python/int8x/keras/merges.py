"""Add and Multiply of more than two tensors, and Average: in TFLite chains that round each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from keras import ops

from int8x.keras.tensors import Tensor

if TYPE_CHECKING:
    from int8x.keras.forward import Forward
    from int8x.keras.plan import CallPlan


def merged(forward: Forward, plan: CallPlan, terms: list[Tensor]) -> Tensor:
    """The sum, product or mean of terms, rounded on the way where the plan has a site."""
    join = ops.multiply if isinstance(plan.operation, keras.layers.Multiply) else ops.add
    sites, terms = iter(plan.partial), _of_one_rank(terms)
    y = join(terms[0], terms[1])
    for term in terms[2:]:
        y = join(forward.round(next(sites), y), term)
    if isinstance(plan.operation, keras.layers.Average):
        y = forward.round(next(sites), y) * (1.0 / len(terms))
    return y


def _of_one_rank(terms: list[Tensor]) -> list[Tensor]:
    """Tensors with axes of one behind the batch, as Keras gives them to those of lower rank."""
    rank, made = max(len(term.shape) for term in terms), []
    for term in terms:
        while len(term.shape) < rank:
            term = ops.expand_dims(term, 1)
        made.append(term)
    return made
