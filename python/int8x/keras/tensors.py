"""What training's arithmetic needs of a backend beyond keras.ops: one file for each backend.

bits_of(x), float_of(bits)   float32 as its bits in int32, and back
fake_quant_8(x, low, high)   255 steps from low to high, the gradient inside them
no_gradient(x)               what a custom gradient returns for an argument without one
is_float_tensor(x)           whether x is a floating tensor
over_replicas(ends)          (low, high) over the batches of all replicas
outside_trace()              a context in which variables have values while a function is traced
READS_IN_TRACE               whether they have them there during `fit`
FLOAT64                      whether there are tensors of that type
"""

from typing import Any

import keras

if keras.backend.backend() == "jax":
    from int8x.keras.on_jax import (
        FLOAT64,
        READS_IN_TRACE,
        bits_of,
        fake_quant_8,
        float_of,
        is_float_tensor,
        no_gradient,
        outside_trace,
        over_replicas,
    )
else:
    from int8x.keras.on_tensorflow import (
        FLOAT64,
        READS_IN_TRACE,
        bits_of,
        fake_quant_8,
        float_of,
        is_float_tensor,
        no_gradient,
        outside_trace,
        over_replicas,
    )

Tensor = Any  # of the backend

__all__ = [
    "FLOAT64",
    "READS_IN_TRACE",
    "Tensor",
    "bits_of",
    "fake_quant_8",
    "float_of",
    "is_float_tensor",
    "no_gradient",
    "outside_trace",
    "over_replicas",
]
