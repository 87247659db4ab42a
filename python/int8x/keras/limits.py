"""Layers that cannot be trained as they are, whatever the backend, refused by name before anything
is changed.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import keras

from int8x.keras import kinds, private

_LORA = (
    "LoRA is enabled: save the model and load it without, Keras then adds what LoRA learned to the "
    "kernel"
)


def check_layers(model: keras.Model, left_out: Set[int], who: str) -> None:
    """ValueError for layers whose kernel is not a float variable with the channels last.

    left_out: ids of layers that stay in float.
    """
    refused = {
        f"{type(operation).__name__} {operation.name!r}: {reason}"
        for operation in private.all_operations(model)
        if id(operation) not in left_out and (reason := _reason(operation))
    }
    if refused:
        raise ValueError(
            f"{model.name}: {who} does not train {'; '.join(sorted(refused))}; or exclude it"
        )


def recurrent(model: keras.Model, left_out: Set[int]) -> list[keras.Layer]:
    """The outermost layers that run others in a loop, whose tensors no range can be hung on: they
    stay in float. One that is unrolled has no loop.

    left_out: ids of layers that stay in float anyway.
    """
    found = [y for y in private.all_layers(model) if id(y) not in left_out and _loops(y)]
    inner = {id(part) for layer in found for part in private.all_layers(layer)}
    return [layer for layer in found if id(layer) not in inner]


def _loops(layer: keras.Layer) -> bool:
    if isinstance(layer, keras.layers.Bidirectional):
        return _loops(layer.forward_layer)
    return isinstance(layer, keras.layers.RNN) and not layer.unroll


def no_plain_kernel(layer: keras.Layer) -> str | None:
    """Why a layer's kernel is not a float variable, if it is none."""
    if getattr(layer, "lora_enabled", False):
        return _LORA
    mode = getattr(layer, "quantization_mode", None)
    if mode is not None:
        return f"Keras has quantized it ({mode}): take the float model"
    return None


def _reason(operation: Any) -> str | None:
    if not isinstance(operation, keras.layers.Layer):
        return None
    reason = no_plain_kernel(operation)
    has_kernel = kinds.kind_of(operation) in (kinds.WEIGHTS, kinds.SEPARABLE)
    if not reason and has_kernel and getattr(operation, "data_format", "") == "channels_first":
        return (
            "TFLite has channels last, got data_format 'channels_first': the kernel is the same in "
            "both, so build with channels_last and set the weights"
        )
    return reason
