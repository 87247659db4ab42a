"""What Keras's JAX backend does not carry, refused by name before anything is changed."""

from __future__ import annotations

from typing import Any

import keras

from int8x.keras import kinds, private
from int8x.keras.attention import core_of
from int8x.keras.layer_wrapper import LayerWrapper
from int8x.keras.prunable import excluded
from int8x.keras.settings import Settings

_L = keras.layers
# Layers that compute nothing at inference.
_NOTHING = (
    *(_L.InputLayer, _L.Dropout, _L.SpatialDropout1D, _L.SpatialDropout2D, _L.Identity),
    *(_L.GaussianNoise, _L.GaussianDropout, _L.ActivityRegularization, LayerWrapper),
)
_ELSE = "with KERAS_BACKEND=tensorflow it trains"


def check_trainer(who: str) -> None:
    """ValueError for ways to run `fit` that hide the train step or spread it over devices."""
    if getattr(keras.config, "is_nnx_enabled", bool)():
        raise ValueError(f"{who}: on the jax backend Keras without NNX was wanted, got it enabled")
    if keras.distribution.distribution() is not None:
        raise ValueError(
            f"{who}: on the jax backend one device was wanted, got a keras.distribution"
        )


def check_training(model: keras.Model, settings: Settings) -> None:
    """ValueError for settings, layers and kinds of models that QATCallback does not train there."""
    check_trainer("QATCallback")
    if settings.learned:
        raise ValueError(
            "QATCallback: on the jax backend ranges 'average' was wanted, got 'lsq'; with "
            "KERAS_BACKEND=tensorflow they are learned"
        )
    if not model.built:
        raise ValueError(
            f"{model.name}: on the jax backend a built model was wanted, got one not called yet"
        )
    left_out = excluded(model, settings.exclude, "QATCallback")
    for part in private.walk_models(model):
        if id(part) not in left_out:
            _check_structure(part)
    refused = {
        f"{type(operation).__name__} {operation.name!r}"
        for operation in private.all_operations(model)
        if id(operation) not in left_out and not _carried(operation)
    }
    if refused:
        raise ValueError(
            f"{model.name}: QATCallback does not train {', '.join(sorted(refused))} on the jax "
            f"backend: exclude what stays in float; {_ELSE}"
        )
    if model.dtype_policy.compute_dtype != "float32":
        raise ValueError(
            f"{model.name}: on the jax backend float32 was wanted, got the policy "
            f"{model.dtype_policy.name!r}; {_ELSE}"
        )


def _check_structure(model: keras.Model) -> None:
    if not hasattr(getattr(model, "_functional", None) or model, "operations"):
        raise ValueError(
            f"{model.name}: on the jax backend a Sequential or Functional model was wanted, got "
            f"{type(model).__name__}; {_ELSE}"
        )


def _carried(operation: Any) -> bool:
    if isinstance(operation, (keras.Model, *_NOTHING)):
        return True
    return core_of(operation) is not None or kinds.kind_of(operation) != kinds.UNKNOWN
