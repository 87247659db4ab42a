"""Whether an operator read from a file has the inputs, outputs and options that its kind cannot do
without.
"""

from int8x.quantization.rules import RULES
from int8x.tflite.schema import make
from int8x.tflite.subgraph import Operator

# The options table that the passes and the kernels read of each kind. Where the file leaves it out,
# zeros mean the same,
# but for the operators with strides.
_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "CONCATENATION": "ConcatenationOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "SOFTMAX": "SoftmaxOptions",
}
_STRIDED = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "AVERAGE_POOL_2D", "MAX_POOL_2D")
_SIZES = (
    "strideH", "strideW", "dilationHFactor", "dilationWFactor", "filterHeight", "filterWidth"
)  # fmt: skip
_LARGEST_SIZE = 1 << 16  # runtimes take time and memory in proportion, whatever the image's size
_RANKS = {"CONV_2D": 4, "DEPTHWISE_CONV_2D": 4, "TRANSPOSE_CONV": 4, "FULLY_CONNECTED": 2}


def complaint(op: Operator) -> str | None:
    """What is wrong with the operator, or None; fills in options that a file may leave out."""
    for field in _SIZES if op.kind != "CUSTOM" else ():
        size = getattr(op.options, field, 1)
        if not 1 <= size <= _LARGEST_SIZE:
            return f"{field} must lie in [1, {_LARGEST_SIZE}], got {size}"
    rule = RULES.get(op.kind)
    if rule is None:
        return None
    places = [0, *(rule.data or ())] + ([] if rule.weights is None else [rule.weights.index])
    needed = max(places) + 1
    present = sum(1 for tensor in op.inputs[:needed] if tensor is not None)
    if present < needed or not op.outputs:
        return f"it must have {needed} inputs and an output, got {present} and {len(op.outputs)}"
    if rule.data is None and any(tensor is None for tensor in op.inputs):
        return "none of its inputs may be left out"
    wanted = _OPTIONS.get(op.kind)
    if wanted is not None:
        if op.options is None and op.kind not in _STRIDED:
            op.options = make(wanted)
        if type(op.options).__name__ != f"{wanted}T":
            found = "none" if op.options is None else type(op.options).__name__.removesuffix("T")
            return f"its options must be {wanted}, got {found}"
    if rule.weights is not None:
        weights, bias = op.inputs[rule.weights.index], op.input(rule.weights.bias)
        if len(weights.shape) != _RANKS[op.kind] or 0 in weights.shape:
            return f"its weights must have {_RANKS[op.kind]} dimensions, not {weights.shape}"
        channels = weights.shape[rule.weights.axis]
        if bias is not None and bias.is_constant and bias.size != channels:
            return f"its bias must have {channels} elements, got {bias.size}"
    return None
