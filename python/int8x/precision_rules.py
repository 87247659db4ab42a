"""What TFLite's kernels ask of an operator at other precisions than int8: int16 activations, INT4
weights, and float activations over int8 weights.

Versions are the lowest whose kernel takes the types (TFLite's op_version.cc), so that old runtimes
load the file; that the kernels are there was asked of the runtimes (tests/int16x8_test.py,
tests/int4_weights_test.py, tests/hybrid_test.py).
"""

from typing import Any

from int8x.quant_params import QuantParams
from int8x.rules import RULES, obstacle
from int8x.subgraph import Operator

# Operators with int16 kernels, by the version that has them. PRELU's loads and computes something
# else; TILE's is not in BUILTIN_REF.
INT16: dict[str, int] = {
    "CONV_2D": 4,
    "DEPTHWISE_CONV_2D": 5,
    "FULLY_CONNECTED": 7,
    "TRANSPOSE_CONV": 3,
    "ADD": 3,
    "SUB": 5,
    "MUL": 4,
    "BATCH_MATMUL": 3,
    "MEAN": 3,
    "RELU": 3,
    "RELU6": 3,
    "LEAKY_RELU": 2,
    "GELU": 2,
    "EXP": 2,
    "ABS": 3,
    "SHAPE": 1,
    "SOFTMAX": 3,
    "LOGISTIC": 3,
    "TANH": 3,
    "AVERAGE_POOL_2D": 3,
    "MAX_POOL_2D": 3,
    "REDUCE_MAX": 3,
    "REDUCE_MIN": 3,
    "RESIZE_BILINEAR": 4,
    "RESIZE_NEAREST_NEIGHBOR": 4,
    "SPACE_TO_BATCH_ND": 4,
    "BATCH_TO_SPACE_ND": 4,
    "PAD": 3,
    "PADV2": 3,
    "MIRROR_PAD": 3,
    "GATHER": 4,
    "GATHER_ND": 3,
    "TRANSPOSE": 5,
    "SLICE": 4,
    "STRIDED_SLICE": 2,
    "SPLIT": 4,
    "SPLIT_V": 2,
    "UNPACK": 4,
    "RESHAPE": 1,
    "SQUEEZE": 1,
    "EXPAND_DIMS": 1,
    "MAXIMUM": 4,
    "MINIMUM": 4,
    "CONCATENATION": 3,
    "PACK": 3,
}

_SYMMETRIC = QuantParams(1 / 32768, 0, bits=16, source="fixed by TFLite")
FIXED_INT16: dict[str, QuantParams] = {
    "SOFTMAX": _SYMMETRIC,
    "LOGISTIC": _SYMMETRIC,
    "TANH": _SYMMETRIC,
}

# Operators whose kernels take INT4 weights with int8 activations.
INT4: dict[str, int] = {"CONV_2D": 7, "DEPTHWISE_CONV_2D": 7, "FULLY_CONNECTED": 10}

# Operators with hybrid kernels, float activations over int8 weights: the versions for weights per
# tensor and per channel.
HYBRID: dict[str, tuple[int, int]] = {
    "CONV_2D": (2, 5),
    "DEPTHWISE_CONV_2D": (4, 6),
    "FULLY_CONNECTED": (3, 12),
}


def fixed_output(kind: str, bits: int) -> QuantParams | None:
    """The grid that TFLite fixes for the operator's result, if it does."""
    return FIXED_INT16.get(kind) if bits == 16 else RULES[kind].output


def obstacle_to(compute: str, op: Operator) -> str | None:
    """Why the operator cannot compute so, or None when it can.

    compute: "int8", "int16x8" or "int8_w4".
    """
    if compute == "int16x8" and op.kind != "CUSTOM" and op.kind not in INT16:
        return "TFLite has no int16 kernel for it"
    reason = obstacle(op)
    if reason is None and compute == "int8_w4" and op.kind not in INT4:
        return "its kernel takes no INT4 weights" if RULES[op.kind].weights else None
    return reason


def int16_version(op: Operator) -> int:
    """The lowest version of the operator's int16 form."""
    options, rank = op.options, max((len(t.shape) for t in op.inputs if t is not None), default=0)

    def on(field: str) -> Any:
        return getattr(options, field, 0)

    least = INT16[op.kind]
    if op.kind == "CONV_2D" and op.inputs[0].shape[-1] != op.inputs[1].shape[-1]:
        return 6
    if op.kind == "TRANSPOSE_CONV" and on("fusedActivationFunction"):
        return 4
    if op.kind == "TRANSPOSE" and rank > 5:
        return 6
    if op.kind in ("PAD", "PADV2") and rank > 4:
        return 4
    if op.kind == "GATHER" and on("batchDims"):
        return 5
    if op.kind == "SLICE" and rank > 4:
        return 5
    if op.kind == "STRIDED_SLICE":
        if on("offset"):
            return 8
        return 6 if on("ellipsisMask") or on("newAxisMask") else 4 if rank > 4 else least
    return least
