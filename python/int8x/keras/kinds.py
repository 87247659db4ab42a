"""What an operation does to the int8 grid: the table on which the plan rests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

WEIGHTS = "weights"  # kernel on a per-channel grid, bias, inline activation
SEPARABLE = "separable"  # two kernels with a tensor between them
NORM = "norm"  # folded into the kernel before it, else exported as a 1x1 depthwise convolution
AFFINE = "affine"  # x * scale + offset with constants: exported as a 1x1 depthwise convolution
RELU = "relu"  # fuses into the operator before it
FIXED = "fixed"  # TFLite dictates scale and zero point of the output
ARITHMETIC = "arithmetic"  # own range; a following RELU fuses into it
SAME = "same"  # moves values, output shares the input's range
SAME_ROUNDED = "same, rounded"  # averages or interpolates, output shares the input's range and is rounded to it
JOIN = "join"  # several inputs and the output share one range
FREE = "free"  # own range
UNKNOWN = "unknown"  # own range; what happens inside has none

# Output grids that TFLite fixes: (scale, zero_point).
FIXED_GRIDS = {"softmax": (1 / 256, -128), "sigmoid": (1 / 256, -128), "tanh": (1 / 128, 0)}

_L = keras.layers
_LAYERS: tuple[tuple[str, tuple[type, ...]], ...] = (
    (SEPARABLE, (_L.SeparableConv1D, _L.SeparableConv2D)),
    (
        WEIGHTS,
        (_L.Dense, _L.Conv1D, _L.Conv2D, _L.DepthwiseConv1D, _L.DepthwiseConv2D, _L.Conv1DTranspose, _L.Conv2DTranspose),
    ),
    (NORM, (_L.BatchNormalization,)),
    (AFFINE, (_L.Rescaling, _L.Normalization)),
    (ARITHMETIC, (_L.Add, _L.Subtract, _L.Multiply)),
    (JOIN, (_L.Concatenate, _L.Maximum, _L.Minimum)),
    (
        SAME,
        (_L.MaxPooling1D, _L.MaxPooling2D, _L.GlobalMaxPooling1D, _L.GlobalMaxPooling2D, _L.Flatten, _L.Reshape, _L.Permute)
        + (_L.RepeatVector, _L.ZeroPadding1D, _L.ZeroPadding2D, _L.Cropping1D, _L.Cropping2D, _L.UpSampling1D),
    ),
    (SAME_ROUNDED, (_L.AveragePooling1D, _L.AveragePooling2D)),
    (FREE, (_L.GlobalAveragePooling1D, _L.GlobalAveragePooling2D, _L.LeakyReLU, _L.PReLU, _L.ELU)),
)
_OPERATIONS = {
    "Add": ARITHMETIC, "Subtract": ARITHMETIC, "Multiply": ARITHMETIC, "Mean": FREE, "LeakyRelu": FREE,
    "Concatenate": JOIN, "Maximum": JOIN, "Minimum": JOIN, "Stack": JOIN,
    "Reshape": SAME, "Transpose": SAME, "Squeeze": SAME, "ExpandDims": SAME, "GetItem": SAME, "Split": SAME,
    "Max": SAME, "MaxPool": SAME, "Pad": SAME, "Ravel": SAME, "Flip": SAME, "Repeat": SAME, "Tile": SAME,
    "AveragePool": SAME_ROUNDED, "Relu": RELU, "Relu6": RELU, "Softmax": FIXED, "Sigmoid": FIXED, "Tanh": FIXED,
}  # fmt: skip


def activation_name(function: Callable[..., Any] | None) -> str:
    """The plain name of an activation, "linear" for none.

    >>> activation_name(keras.activations.relu6)
    'relu6'
    """
    return "linear" if function is None else getattr(function, "__name__", type(function).__name__)


def activation_kind(name: str) -> str:
    """RELU, FIXED, SAME (linear) or FREE."""
    if name == "linear":
        return SAME
    if name in ("relu", "relu6"):
        return RELU
    return FIXED if name in FIXED_GRIDS else FREE


def _relu_layer_kind(layer: Any) -> str:
    plain = not layer.negative_slope and not layer.threshold and layer.max_value in (None, 6)
    return RELU if plain else FREE


def kind_of(operation: Any) -> str:
    """The kind of a layer or of a layer-less operation.

    >>> kind_of(keras.layers.MaxPooling2D())
    'same'
    """
    if not isinstance(operation, keras.Layer):
        return _OPERATIONS.get(type(operation).__name__, UNKNOWN)
    if isinstance(operation, _L.Activation):
        return activation_kind(activation_name(operation.activation))
    if isinstance(operation, _L.ReLU):
        return _relu_layer_kind(operation)
    if isinstance(operation, _L.Softmax):
        return FIXED
    if isinstance(operation, _L.UpSampling2D):
        return SAME if operation.interpolation == "nearest" else SAME_ROUNDED
    for kind, classes in _LAYERS:
        if isinstance(operation, classes):
            return kind
    return SAME if type(operation).__name__.startswith("Random") else UNKNOWN


def fixed_grid(operation: Any) -> tuple[float, int]:
    """The (scale, zero_point) of an operation of kind FIXED."""
    if isinstance(operation, _L.Activation):
        return FIXED_GRIDS[activation_name(operation.activation)]
    return FIXED_GRIDS[type(operation).__name__.lower()]


def channel_axes(layer: Any) -> tuple[int, ...]:
    """The axes of `layer.kernel` that count output channels: one int8 scale for each."""
    if isinstance(layer, (_L.DepthwiseConv1D, _L.DepthwiseConv2D)):
        return (len(layer.kernel.shape) - 2, len(layer.kernel.shape) - 1)
    if isinstance(layer, (_L.Conv1DTranspose, _L.Conv2DTranspose)):
        return (len(layer.kernel.shape) - 2,)
    return (len(layer.kernel.shape) - 1,)
