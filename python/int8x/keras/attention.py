"""What MultiHeadAttention computes between its projections, as an operation that can be planned.

The projections are layers and are called as such. The rest, scores, SOFTMAX and their product with
the values, is a method of the attention layer: here it gets the form of an operation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

_METHOD = "_compute_attention"
_NAMES = ("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention")
_LAYERS = tuple(getattr(keras.layers, name) for name in _NAMES if hasattr(keras.layers, name))
_AXES = (1,)  # of positions, where queries are [batch, positions, heads, size]


class AttentionCore:
    """The method of one attention layer, to be called, and replaced on the instance, as `call`."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def method(self) -> tuple[Any, str]:
        """The object and the name of the method that is this operation."""
        return self.layer, _METHOD

    @property
    def call(self) -> Callable[..., Any]:
        """(query, key, value, mask, ...) -> (result, scores or None)."""
        return getattr(self.layer, _METHOD)

    @property
    def inner_layers(self) -> list[Any]:
        """Layers that the method calls: parts of this operation."""
        names = ("_softmax", "_dropout_layer")
        return [getattr(self.layer, name) for name in names if hasattr(self.layer, name)]

    @property
    def factor(self) -> float:
        """What queries are multiplied by."""
        for name in ("_inverse_sqrt_key_dim", "_inverse_sqrt_head_dim"):
            if hasattr(self.layer, name):
                return float(getattr(self.layer, name))
        raise AttributeError(f"{self.layer.name}: the factor of its queries is not known")


def is_attention(layer: Any) -> bool:
    """Whether a layer is one of Keras's with projections, and computes attention as these do."""
    if not isinstance(layer, _LAYERS):
        return False
    method = getattr(type(layer), _METHOD)
    return any(method is getattr(kind, _METHOD) for kind in _LAYERS)


def core_of(layer: Any) -> AttentionCore | None:
    """The core of a built attention layer over one axis of positions; None for other layers."""
    if not is_attention(layer) or not layer.built:
        return None
    axes = tuple(getattr(layer, "_attention_axes", None) or _AXES)
    return AttentionCore(layer) if axes == _AXES else None
