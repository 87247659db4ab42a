"""What an optimizer keeps beside a weight, when the weight changes its scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from int8x.keras import private

# With w' = k w gradients are g' = g / k: what is kept goes with this power of k.
_POWERS = {
    **{name: -1 for name in ("_momentums", "momentums", "_m", "_u")},
    **{name: -1 for name in ("_average_gradients", "_accumulated_gradients")},
    **{name: -2 for name in ("_velocities", "_velocity_hats", "adam_velocities", "_v")},
    **{name: -2 for name in ("_accumulators", "_accumulated_grads")},
    "_accumulated_delta_vars": 2,
    "_model_variables_moving_average": 1,
}
_RMSPROP = {"_momentums": 0}  # of gradients over their size


def rescale(variable: Any, factor: np.ndarray, optimizer: Any = None) -> None:
    """Multiplies a variable by powers of two, and by their powers what an optimizer keeps of it: a
    mean of gradients is divided, one of their squares twice.

    What is not known, or of another shape, is set to zero: as for a variable never updated.
    """
    _multiply(variable, factor)
    for name, slot in private.slots_of(optimizer, variable).items() if optimizer else ():
        power = _POWERS.get(name)
        if private.optimizer_name(optimizer) == "RMSprop":
            power = _RMSPROP.get(name, power)
        if tuple(slot.shape) != tuple(variable.shape) or power is None:
            slot.assign(np.zeros(slot.shape, slot.numpy().dtype))
        elif power:
            _multiply(slot, factor.astype(np.float64) ** power)


def _multiply(variable: Any, factor: np.ndarray) -> None:
    value = variable.numpy()
    variable.assign((value * factor).astype(value.dtype))
