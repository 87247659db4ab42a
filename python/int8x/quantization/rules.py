"""What TFLite's int8 kernels ask of each operator: one table, read by the quantizer and the passes.

Sources: the prepare functions of the reference kernels (docs/numerics.md lists what was verified)
and, for `version`, the lowest operator version whose kernel takes the int8 types, so that old
runtimes load the file.
"""

import dataclasses
from typing import Any

import numpy as np

from int8x.tflite.quant_params import QuantParams
from int8x.tflite.subgraph import Operator, Tensor


@dataclasses.dataclass(frozen=True)
class Weights:
    """Where an operator's weights and bias stand among its inputs; the axis of its channels."""

    index: int = 1
    axis: int = 0
    bias: int = 2


@dataclasses.dataclass(frozen=True)
class Rule:
    """How one operator kind is made int8.

    scales: "free" (each tensor its own), "same" (data inputs and outputs on one grid), "fixed" (the
    output's grid is `output`).
    data: indices of the inputs that carry activations, None for all; other inputs keep their type.
    weights: of operators that have them, else None.
    output: the fixed grid of "fixed". version: the operator version int8 needs, when it does not
    depend on the operator.
    """

    scales: str = "free"
    data: tuple[int, ...] | None = (0,)
    weights: Weights | None = None
    output: QuantParams | None = None
    version: int = 1

    def data_inputs(self, op: Operator) -> list[int]:
        """Indices of the float inputs that take activation grids."""
        indices = range(len(op.inputs)) if self.data is None else self.data
        return [i for i in indices if (tensor := op.input(i)) is not None and tensor.is_float]


def _fixed(scale: float, zero_point: int) -> QuantParams:
    return QuantParams(scale, zero_point, source="fixed by TFLite")


_SAME = Rule("same", version=2)
_SAME_1 = Rule("same")

RULES: dict[str, Rule] = {
    "CONV_2D": Rule(weights=Weights(), version=3),
    "DEPTHWISE_CONV_2D": Rule(weights=Weights(axis=3), version=3),
    "FULLY_CONNECTED": Rule(weights=Weights(), version=4),
    "TRANSPOSE_CONV": Rule(data=(2,), weights=Weights(bias=3), version=3),
    "ADD": Rule(data=(0, 1), version=2),
    "SUB": Rule(data=(0, 1), version=2),
    "MUL": Rule(data=(0, 1), version=2),
    "SQUARED_DIFFERENCE": Rule(data=(0, 1), version=2),
    "BATCH_MATMUL": Rule(data=(0, 1), version=2),
    "PRELU": Rule(data=(0, 1)),
    "MEAN": Rule(version=2),
    "RELU": Rule(version=2),
    "RELU6": Rule(version=2),
    "RELU_N1_TO_1": Rule(),
    "LEAKY_RELU": Rule(),
    "HARD_SWISH": Rule(),
    "GELU": Rule(version=2),
    "EXP": Rule(version=2),
    "LOG": Rule(version=2),
    "SQRT": Rule(version=2),
    "RSQRT": Rule(version=2),
    "ELU": Rule(),
    "RELU_0_TO_1": Rule(),
    "ABS": Rule(version=2),
    "ARG_MAX": Rule(version=2),
    "ARG_MIN": Rule(version=2),
    "SHAPE": Rule(),
    "SOFTMAX": Rule("fixed", output=_fixed(1 / 256, -128), version=2),
    "LOGISTIC": Rule("fixed", output=_fixed(1 / 256, -128), version=2),
    "TANH": Rule("fixed", output=_fixed(1 / 128, 0), version=2),
    "L2_NORMALIZATION": Rule("fixed", output=_fixed(1 / 128, 0), version=2),
    "LOG_SOFTMAX": Rule("fixed", output=_fixed(16 / 256, 127), version=2),
    "AVERAGE_POOL_2D": _SAME,
    "MAX_POOL_2D": _SAME,
    "REDUCE_MAX": _SAME,
    "REDUCE_MIN": _SAME,
    "RESIZE_BILINEAR": _SAME,
    "RESIZE_NEAREST_NEIGHBOR": _SAME,
    "SPACE_TO_DEPTH": _SAME,
    "DEPTH_TO_SPACE": _SAME_1,
    "SPACE_TO_BATCH_ND": _SAME,
    "BATCH_TO_SPACE_ND": _SAME,
    "PAD": _SAME,
    "MIRROR_PAD": _SAME,
    "GATHER": _SAME,
    "GATHER_ND": _SAME_1,
    "TRANSPOSE": _SAME,
    "SLICE": _SAME,
    "STRIDED_SLICE": _SAME,
    "SPLIT_V": _SAME,
    "UNPACK": _SAME,
    "RESHAPE": _SAME_1,
    "SQUEEZE": _SAME_1,
    "EXPAND_DIMS": _SAME_1,
    "TILE": _SAME,
    "REVERSE_V2": _SAME,
    "TOPK_V2": _SAME,
    "EMBEDDING_LOOKUP": Rule("same", data=(1,)),
    "ONE_HOT": Rule("same", data=(2, 3)),
    "SELECT": Rule("same", data=(1, 2)),
    "SELECT_V2": Rule("same", data=(1, 2)),
    "DYNAMIC_UPDATE_SLICE": Rule("same", data=(0, 1)),
    "BROADCAST_TO": Rule("same", version=3),
    "SPLIT": Rule("same", data=(1,), version=2),
    "PADV2": Rule("same", data=(0, 2), version=2),
    "MAXIMUM": Rule("same", data=(0, 1), version=2),
    "MINIMUM": Rule("same", data=(0, 1), version=2),
    "CONCATENATION": Rule("same", data=None, version=2),
    "PACK": Rule("same", data=None, version=2),
}

# Why an operator whose int8 kernel exists, or could, is left in float all the same.
_REASONS = {
    "CAST": "its int8 kernel casts the stored integers, not what they stand for",
    "DIV": "its int8 kernel fails where the divisor rounds to zero",
    "SUM": "its int8 reference kernel reads int8 as uint8, and the sum has no fixed length",
    "NEG": "its int8 kernel ignores scales and zero points",
    "SCATTER_ND": "its int8 kernel fills with the integer 0, not with the zero point",
    "MATRIX_DIAG": "its int8 kernel fills with the integer 0, not with the zero point",
    "FLOOR_DIV": "its int8 kernel divides the stored integers",
    "FLOOR_MOD": "its int8 kernel divides the stored integers",
    "REDUCE_PROD": "the range of a product is beyond 256 steps",
    "READ_VARIABLE": "its variable's state is kept in float",
    "ASSIGN_VARIABLE": "its variable's state is kept in float",
    "WHILE": "what crosses into its subgraphs is kept in float",
    "IF": "what crosses into its subgraphs is kept in float",
    "CALL": "what crosses into its subgraph is kept in float",
    "CALL_ONCE": "what crosses into its subgraph is kept in float",
    "STABLEHLO_COMPOSITE": "what crosses into its subgraph is kept in float",
}
_REASONS |= dict.fromkeys(
    ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"),
    "its int8 kernel compares in steps of 1/256, whatever the scales, and aborts for a scale of 1",
)
_REASONS |= dict.fromkeys(
    (
        "LSTM",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "RNN",
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        "BIDIRECTIONAL_SEQUENCE_RNN",
        "SVDF",
    ),
    "its inner state and gates have no calibrated range",
)


def rule_for(op: Operator) -> Rule | None:
    """The operator's rule, or None when TFLite has no int8 kernel for it (or int8x does not know
    one).
    """
    return RULES.get(op.kind)


def version_for(op: Operator, grids: dict[Tensor, QuantParams]) -> int:
    """The lowest version that the operator's int8 form, fields and ranks need."""
    rule, options = RULES[op.kind], op.options
    first = next((t for t in op.inputs if t is not None), None)
    rank = len(first.shape) if first is not None else 0

    def on(field: str) -> Any:
        return getattr(options, field, 0)

    if op.kind == "CONV_2D":
        data, weights = op.inputs[0], op.inputs[1]
        grouped = data is not None and weights is not None and data.shape[-1] != weights.shape[-1]
        return 6 if grouped else rule.version
    if op.kind == "FULLY_CONNECTED" and on("keepNumDims"):
        return 5
    if op.kind == "MUL":
        product = [grids[t].scale for t in op.inputs if t is not None and t in grids]
        return (
            3
            if len(product) == 2 and product[0] * product[1] / grids[op.outputs[0]].scale >= 1
            else 2
        )
    if op.kind == "TRANSPOSE":
        return 6 if rank > 5 else 4 if rank > 4 else rule.version
    if op.kind == "TRANSPOSE_CONV":
        return 4 if on("fusedActivationFunction") else rule.version
    if op.kind in ("PAD", "PADV2") and rank > 4:
        return 4
    if op.kind in ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND") and rank != 4:
        return 3
    if op.kind == "GATHER" and on("batchDims"):
        return 5
    if op.kind == "SLICE" and rank > 4:
        return 5
    if op.kind == "STRIDED_SLICE":
        return (
            8
            if on("offset")
            else 6
            if on("ellipsisMask") or on("newAxisMask")
            else 4
            if rank > 4
            else rule.version
        )
    if op.kind == "RESIZE_BILINEAR" and on("halfPixelCenters"):
        return 3
    if op.kind == "RESIZE_NEAREST_NEIGHBOR" and (on("halfPixelCenters") or on("alignCorners")):
        return 3
    if (
        op.kind in ("MAXIMUM", "MINIMUM", "SUB")
        and max(len(t.shape) for t in op.inputs if t is not None) > 4
    ):
        return 3
    return rule.version


def obstacle(op: Operator) -> str | None:
    """Why this operator cannot become int8, or None when it can. Operators without float tensors
    are not asked.
    """
    rule = RULES.get(op.kind)
    if rule is None:
        return (
            f"custom operator {op.custom_code!r}"
            if op.kind == "CUSTOM"
            else _REASONS.get(op.kind, "TFLite has no int8 kernel for it")
        )
    if rule.weights is not None:
        weights, bias = op.input(rule.weights.index), op.input(rule.weights.bias)
        if weights is None or not weights.is_constant:
            return "its weights are not constant"
        if weights.raw is not None and weights.raw.sparsity is not None:
            return "its weights are stored sparse"
        if not weights.is_float:
            return f"its weights are {weights.dtype}"
        if bias is not None and not bias.is_constant:
            return "its bias is not constant"
        for tensor in (weights, bias):
            if tensor is not None and tensor.is_float and not np.isfinite(tensor.values).all():
                return f"its constant {tensor.name!r} holds NaN or infinities"
        if getattr(op.options, "weightsFormat", 0):
            return "its weights are stored shuffled"
    for tensor in [*op.inputs, *op.outputs]:
        if tensor is not None and tensor.dtype in ("FLOAT16", "FLOAT64", "BFLOAT16", "COMPLEX64"):
            return f"tensor {tensor.name!r} is {tensor.dtype}"
    if (
        op.kind == "RESIZE_BILINEAR"
        and op.options is not None
        and op.options.alignCorners
        and op.options.halfPixelCenters
    ):
        return "align_corners and half_pixel_centers together are refused by TFLite"
    if op.kind in ("ADD", "SUB", "MUL") and getattr(op.options, "fusedActivationFunction", 0) > 3:
        return "its fused activation has no int8 form"
    return None
