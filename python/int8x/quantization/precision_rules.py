"""What TFLite's kernels ask of an operator at other precisions than int8: int16 activations, INT4
weights, and float activations over int8 weights.

Versions are the lowest whose kernel takes the types (TFLite's op_version.cc), so that old runtimes
load the file; that the kernels are there was asked of the runtimes (tests/int16x8_test.py,
tests/int4_weights_test.py, tests/hybrid_test.py).
"""

from typing import Any

from int8x.quantization.rules import RULES, Weights, obstacle
from int8x.tflite.quant_params import QuantParams
from int8x.tflite.subgraph import Operator, Tensor

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
    "REVERSE_V2": 1,
    "SELECT": 1,
    "SELECT_V2": 1,
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

# Operators whose kernels take INT4 weights with int8 activations. They load at their int8 versions
# too, and only so in BUILTIN_REF, which does not know DEPTHWISE_CONV_2D's version 7, and in
# tflite-runtime 2.14; kernels without INT4 refuse the type.
INT4 = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")

# Operators with hybrid kernels, float activations over int8 weights: the versions for weights per
# tensor and per channel. BATCH_MATMUL's 4 is not in every BUILTIN_REF; at 1 it computes the same.
HYBRID: dict[str, tuple[int, int]] = {
    "CONV_2D": (2, 5),
    "DEPTHWISE_CONV_2D": (6, 6),
    "FULLY_CONNECTED": (9, 12),
    "BATCH_MATMUL": (1, 1),
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


def obstacle_to_hybrid(op: Operator) -> str | None:
    """Why an operator with stored_weights() has no hybrid kernel, or None when it has one."""
    if op.kind not in HYBRID:
        return "TFLite has no hybrid kernel for it"
    if op.kind == "CONV_2D" and op.inputs[0].shape[-1] != op.inputs[1].shape[-1]:
        return "TFLite's hybrid kernel for grouped convolutions reads memory that it does not own"
    return None


def stored_weights(op: Operator) -> Weights | None:
    """Where an operator that computes in float keeps weights that can be stored as int8, and along
    which axis they have their scales.
    """
    if op.kind in RULES and RULES[op.kind].weights is not None:
        return RULES[op.kind].weights
    if op.kind == "BATCH_MATMUL" and op.input(1) is not None:
        return Weights(1, len(op.inputs[1].shape) - (2 if op.options.adjY else 1))
    return {"GATHER": Weights(0), "EMBEDDING_LOOKUP": Weights(1)}.get(op.kind)


def plain_constant(tensor: Tensor | None) -> bool:
    """Whether the tensor is a float constant that is not stored sparse."""
    return (
        tensor is not None
        and tensor.is_constant
        and tensor.is_float
        and (tensor.raw is None or tensor.raw.sparsity is None)
    )


def int16_version(op: Operator) -> int:
    """The lowest version of the operator's int16 form."""
    options, rank = op.options, max((len(t.shape) for t in op.inputs if t is not None), default=0)

    def on(field: str) -> Any:
        return getattr(options, field, 0)

    least = INT16[op.kind]
    if op.kind == "FULLY_CONNECTED" and on("keepNumDims") and op.inputs[1].grid.axis is not None:
        return 11  # tflite-runtime 2.14 takes 7, and then computes the first row only
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
