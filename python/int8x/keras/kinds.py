"""What an operation does to the int8 grid: the table on which the plan rests."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras

from int8x.keras.projections import summed_axes

WEIGHTS = "weights"  # kernel on a per-channel grid, bias, inline activation
SEPARABLE = "separable"  # two kernels with a tensor between them
NORM = "norm"  # folded into the kernel before it, else a 1x1 depthwise convolution
AFFINE = "affine"  # x * scale + offset with constants: a 1x1 depthwise convolution
RELU = "relu"  # fuses into the operator before it
FIXED = "fixed"  # TFLite dictates scale and zero point of the output
ARITHMETIC = "arithmetic"  # own range; a following RELU fuses into it
SAME = "same"  # moves values, output shares the input's range
SAME_ROUNDED = "same, rounded"  # averages or interpolates on its input's grid
JOIN = "join"  # several inputs and the output share one range
FREE = "free"  # own range
PRODUCT = "product"  # of two matrices, own range
LAYER_NORM = "layer norm"  # a chain of operators, each with a range of its own
ATTENTION = "attention"  # the same, between the projections of an attention layer
BOUNDARY = (
    "boundary"  # a layer that calls others: what it makes beside them is rounded as it leaves
)
FLOAT = "float"  # left in float, as `exclude` wants it
UNKNOWN = "unknown"  # own range; what happens inside has none

# Output grids (scale, zero_point) by bits and activation: TFLite fixes them, hard_sigmoid
# is given that of sigmoid.
FIXED_GRIDS = {
    8: {
        "softmax": (1 / 256, -128),
        "sigmoid": (1 / 256, -128),
        "hard_sigmoid": (1 / 256, -128),
        "tanh": (1 / 128, 0),
        "log_softmax": (16 / 256, 127),
    },
    16: dict.fromkeys(("softmax", "sigmoid", "hard_sigmoid", "tanh"), (1 / 32768, 0)),
}
UNIT_GRIDS = {8: (1 / 128, 0)}  # of L2_NORMALIZATION, by bits

# The first kind whose class a layer is an instance of.
_LAYERS = {
    SEPARABLE: "SeparableConv1D SeparableConv2D",
    WEIGHTS: "Dense Conv1D Conv2D DepthwiseConv1D DepthwiseConv2D Conv1DTranspose Conv2DTranspose",
    NORM: "BatchNormalization",
    AFFINE: "Rescaling Normalization",
    ARITHMETIC: "Add Subtract Multiply Average",
    JOIN: "Concatenate Maximum Minimum",
    SAME: "MaxPooling1D MaxPooling2D GlobalMaxPooling1D GlobalMaxPooling2D Flatten Reshape Permute "
    "RepeatVector ZeroPadding1D ZeroPadding2D Cropping1D Cropping2D UpSampling1D "
    "AdaptiveMaxPooling1D AdaptiveMaxPooling2D",
    SAME_ROUNDED: "AveragePooling1D AveragePooling2D",
    FREE: "GlobalAveragePooling1D GlobalAveragePooling2D LeakyReLU PReLU ELU Embedding",
}
# Operations of keras.ops by class name.
_OPERATIONS = {
    ARITHMETIC: "Add Subtract Multiply",
    JOIN: "Concatenate Maximum Minimum Stack",
    SAME: "Cast Reshape Transpose Squeeze ExpandDims GetItem Split Max MaxPool AdaptiveMaxPool Pad "
    "Repeat Tile",
    SAME_ROUNDED: "AveragePool",
    FREE: "Mean LeakyRelu Silu Gelu HardSilu HardTanh Softplus Absolute",
    RELU: "Relu Relu6",
    FIXED: "Softmax LogSoftmax Sigmoid HardSigmoid Tanh",
    ATTENTION: "AttentionCore",
}
# Activations that end with one operator; the others that TFLite has are chains.
_SINGLE = frozenset({"elu", "exponential", "gelu", "hard_silu", "hard_tanh", "leaky_relu"})
_NAMES_OF_TENSORFLOW = {
    "exp": "exponential",
    "identity": "linear",
    "log_softmax_v2": "log_softmax",
    "softmax_v2": "softmax",
    "swish": "silu",
}
_L = keras.layers


def classes(names: str) -> tuple[type, ...]:
    """Keras's layers of these names, without those that came after the version at hand."""
    return tuple(getattr(_L, name) for name in names.split() if hasattr(_L, name))


MERGES = (_L.Add, _L.Multiply, _L.Average)  # chains of operators of two tensors each
_NORMS = classes("LayerNormalization RMSNormalization GroupNormalization")
_ADAPTIVE = classes("AdaptiveAveragePooling1D AdaptiveAveragePooling2D")
_KIND_OF_LAYER = [(kind, classes(names)) for kind, names in _LAYERS.items()]
_KIND_OF_OPERATION = {name: kind for kind, names in _OPERATIONS.items() for name in names.split()}


def activation_name(function: Callable[..., Any] | None) -> str:
    """The plain name of an activation, Keras's or TensorFlow's, "linear" for none.

    >>> activation_name(keras.activations.relu6)
    'relu6'
    """
    if function is None:
        return "linear"
    name = getattr(function, "__name__", type(function).__name__)
    return _NAMES_OF_TENSORFLOW.get(name, name)


def activation_of(operation: Any) -> str:
    """The name of the activation that an operation is or ends in, "linear" for none.

    >>> activation_of(keras.layers.Dense(2, activation="tanh"))
    'tanh'
    """
    if isinstance(operation, keras.Layer):
        return activation_name(getattr(operation, "activation", None))
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(operation).__name__).lower()


def activation_kind(name: str) -> str:
    """RELU, FIXED, SAME (linear) or FREE."""
    if name == "linear":
        return SAME
    if name in ("relu", "relu6"):
        return RELU
    return FIXED if name in FIXED_GRIDS[8] else FREE


def _relu_layer_kind(layer: Any) -> str:
    return FREE if layer.negative_slope or layer.threshold or layer.max_value == 0 else RELU


def _resize_kind(layer: Any) -> str:
    """Of UpSampling2D or Resizing: TFLite resizes whole images, by nearest or bilinear points."""
    others = ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio")
    if any(getattr(layer, name, False) for name in others):
        return UNKNOWN
    return {"nearest": SAME, "bilinear": SAME_ROUNDED}.get(layer.interpolation, UNKNOWN)


def _norm_kind(layer: Any) -> str:
    """Of LayerNormalization and its kin, whose channels come last."""
    axes = tuple(layer.axis) if isinstance(layer.axis, (list, tuple)) else (layer.axis,)
    return LAYER_NORM if axes == (-1,) and not getattr(layer, "rms_scaling", False) else UNKNOWN


def kind_of(operation: Any) -> str:
    """The kind of a layer or of a layer-less operation.

    >>> kind_of(keras.layers.MaxPooling2D())
    'same'
    """
    if normalizes(operation):
        return FIXED
    if is_operation(operation, "Clip"):
        return (
            RELU if isinstance(operation.x_min, (int, float)) and operation.x_min == 0 else UNKNOWN
        )
    if not isinstance(operation, keras.Layer):
        return _KIND_OF_OPERATION.get(type(operation).__name__, UNKNOWN)
    if isinstance(operation, _L.Activation):
        return activation_kind(activation_name(operation.activation))
    if isinstance(operation, _L.ReLU):
        return _relu_layer_kind(operation)
    if isinstance(operation, _L.Softmax):
        return FIXED
    if isinstance(operation, (_L.UpSampling2D, _L.Resizing)):
        return _resize_kind(operation)
    if isinstance(operation, _NORMS):
        return _norm_kind(operation)
    if isinstance(operation, _L.EinsumDense):
        return WEIGHTS if summed_axes(operation) else UNKNOWN
    for kind, classes in _KIND_OF_LAYER:
        if isinstance(operation, classes):
            return kind
    return SAME if type(operation).__name__.startswith("Random") else UNKNOWN


def normalizes(operation: Any) -> bool:
    """Whether it divides by the L2 norm of channels: L2_NORMALIZATION in TFLite.

    >>> normalizes(keras.layers.UnitNormalization())
    True
    """
    layer = isinstance(operation, _L.UnitNormalization)
    if not layer and not is_operation(operation, "Normalize"):
        return False
    return operation.axis in (-1, [-1]) and getattr(operation, "order", 2) == 2


def multiplies_matrices(operation: Any) -> bool:
    """Whether it is a product of matrices, in TFLite BATCH_MATMUL, of its two tensors.

    >>> multiplies_matrices(keras.layers.Dot((2, 2)))
    True
    """
    if isinstance(operation, _L.Dot):
        return not operation.normalize
    return is_operation(operation, "Matmul")


def even_window(operation: Any, shape: tuple[int | None, ...]) -> tuple[int, ...] | None:
    """The window, also the stride, of the plain average pooling that an adaptive one is on inputs
    of a shape; None for others, also for an adaptive one whose windows differ.
    """
    if type(operation) not in _ADAPTIVE or operation.data_format != "channels_last":
        return None
    window = []
    for size, wanted in zip(shape[1:-1], operation.output_size, strict=True):
        if size is None or size % wanted:
            return None
        window.append(size // wanted)
    return tuple(window)


def is_operation(operation: Any, name: str) -> bool:
    """Whether it is the operation of keras.ops whose class has the name, and not a layer.

    >>> is_operation(keras.layers.Add(), "Add")
    False
    """
    return not isinstance(operation, keras.Layer) and type(operation).__name__ == name


def is_operator(name: str) -> bool:
    """Whether an activation is one operator of TFLite's or none.

    >>> is_operator("gelu"), is_operator("mish")
    (True, False)
    """
    return activation_kind(name) != FREE or name in _SINGLE


def fixed_grid(operation: Any, bits: int) -> tuple[float, int] | None:
    """The (scale, zero_point) of an operation of kind FIXED; None where the bits leave it free."""
    name = "softmax" if isinstance(operation, _L.Softmax) else activation_of(operation)
    return UNIT_GRIDS.get(bits) if normalizes(operation) else FIXED_GRIDS[bits].get(name)


def takes_int4(layer: Any) -> bool:
    """Whether TFLite's operator for a layer with a kernel takes INT4 weights."""
    return not isinstance(layer, (_L.Conv1DTranspose, _L.Conv2DTranspose))


def channel_axes(layer: Any) -> tuple[int, ...]:
    """The axes of `layer.kernel` that count output channels: one int8 scale for each."""
    if isinstance(layer, (_L.DepthwiseConv1D, _L.DepthwiseConv2D)):
        return (len(layer.kernel.shape) - 2, len(layer.kernel.shape) - 1)
    if isinstance(layer, (_L.Conv1DTranspose, _L.Conv2DTranspose)):
        return (len(layer.kernel.shape) - 2,)
    if isinstance(layer, _L.EinsumDense):
        return tuple(range(summed_axes(layer), len(layer.kernel.shape)))
    return (len(layer.kernel.shape) - 1,)
