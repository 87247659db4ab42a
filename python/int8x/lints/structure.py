"""Lints of how operators stand together."""

from int8x.inspection.float_islands import BORDERS, computes_in_float, float_islands
from int8x.lints.finding import Place, Told, is_quantized
from int8x.quantization.passes import FUSES
from int8x.quantization.precision_rules import INT16, int16_version
from int8x.quantization.rules import RULES, version_for
from int8x.tflite.subgraph import Operator

_ACTIVATIONS = ("RELU", "RELU6", "RELU_N1_TO_1")
_SOFTMAX_SUM = 512

# The highest versions that tflite-runtime 2.14 loads, the last release for many boards: asked of
# its interpreter, version by version.
NEWEST_IN_214 = {
    "ABS": 5, "ADD": 5, "ARG_MAX": 3, "ARG_MIN": 3, "AVERAGE_POOL_2D": 3, "BATCH_MATMUL": 4,
    "BATCH_TO_SPACE_ND": 4, "BROADCAST_TO": 3, "CAST": 5, "CONCATENATION": 4, "CONV_2D": 7,
    "DEPTHWISE_CONV_2D": 7, "DEPTH_TO_SPACE": 2, "DEQUANTIZE": 5, "DIV": 2, "EQUAL": 4, "EXP": 2,
    "EXPAND_DIMS": 1, "FILL": 4, "FLOOR_DIV": 3, "FULLY_CONNECTED": 10, "GATHER": 6,
    "GATHER_ND": 4, "GELU": 2, "GREATER": 2, "GREATER_EQUAL": 3, "HARD_SWISH": 1,
    "L2_NORMALIZATION": 2, "LEAKY_RELU": 2, "LESS": 3, "LESS_EQUAL": 2, "LOGISTIC": 3,
    "LOG_SOFTMAX": 2, "LSTM": 4, "MAXIMUM": 4, "MAX_POOL_2D": 3, "MEAN": 3, "MINIMUM": 4,
    "MIRROR_PAD": 3, "MUL": 7, "NOT_EQUAL": 3, "PACK": 4, "PAD": 4, "PADV2": 4, "PRELU": 1,
    "QUANTIZE": 3, "REDUCE_MAX": 3, "REDUCE_MIN": 3, "REDUCE_PROD": 2, "RELU": 3, "RELU6": 3,
    "RELU_0_TO_1": 1, "RELU_N1_TO_1": 1, "RESHAPE": 1, "RESIZE_BILINEAR": 4,
    "RESIZE_NEAREST_NEIGHBOR": 4, "RSQRT": 2, "SELECT": 4, "SELECT_V2": 2, "SLICE": 6,
    "SOFTMAX": 3, "SPACE_TO_BATCH_ND": 4, "SPACE_TO_DEPTH": 2, "SPLIT": 4, "SPLIT_V": 2,
    "SQUARED_DIFFERENCE": 2, "SQUEEZE": 2, "STRIDED_SLICE": 8, "SUB": 5, "SUM": 2, "SVDF": 4,
    "TANH": 3, "TILE": 3, "TOPK_V2": 3, "TRANSPOSE": 6, "TRANSPOSE_CONV": 4,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 4, "UNPACK": 4,
}  # fmt: skip


def float_island(place: Place) -> Told:
    """Operators in float amid integers: each border converts, and the delegate leaves them."""
    if not computes_in_float(place.op):
        return
    island = next(i for i in float_islands(place.subgraph) if place.index in i)
    if place.index != island[0] or not any(_in_integers(op) for op in place.subgraph.operators):
        return
    kinds = [place.subgraph.operators[index].kind for index in island]
    count = f"{len(kinds)} operators" if len(kinds) > 1 else "one operator"
    yield (
        place.op.outputs[0] if place.op.outputs else None,
        ("integers throughout"),
        f"{count} in float: {', '.join(kinds[:6])}{', ...' if len(kinds) > 6 else ''}",
    )


def missed_fusion(place: Place) -> Told:
    """A RELU that the operator before it could do."""
    op = place.op
    if op.kind not in _ACTIVATIONS:
        return
    source = op.input(0)
    producer = None if source is None else place.producer(source)
    if producer is None or producer.kind not in FUSES or producer.options is None:
        return
    alone = len(place.readers(source)) == 1 and source not in place.subgraph.outputs
    if alone and not producer.options.fusedActivationFunction:
        yield source, f"{op.kind} fused into {producer.kind}", "an operator of its own"


def needless_conversion(place: Place) -> Told:
    """QUANTIZE and DEQUANTIZE that undo each other, or change nothing."""
    op = place.op
    source = op.input(0)
    if op.kind not in BORDERS or source is None or not op.outputs:
        return
    result = op.outputs[0]
    before = place.producer(source)
    if op.kind == "QUANTIZE":
        same_type = is_quantized(source) and source.dtype == result.dtype
        if same_type and result.quant is not None and source.grid.same_grid(result.quant):
            yield result, "no QUANTIZE between equal grids", "one"
        elif before is not None and before.kind == "DEQUANTIZE":
            origin = before.input(0)
            if is_quantized(origin) and origin.dtype == result.dtype:
                yield source, "at most one QUANTIZE", f"DEQUANTIZE and QUANTIZE of {origin.dtype}"
    elif before is not None and before.kind == "QUANTIZE":
        origin = before.input(0)
        alone = all(reader.kind == "DEQUANTIZE" for reader in place.readers(source))
        kept = source in place.subgraph.outputs
        if origin is not None and origin.is_float and alone and not kept:
            yield source, "the float tensor as it was", "QUANTIZE and DEQUANTIZE of it"


def version_too_high(place: Place) -> Told:
    """A version that tflite-runtime 2.14 does not load, although the types need a lower one."""
    op = place.op
    newest, needed = NEWEST_IN_214.get(op.kind), _needed_version(op)
    if newest is not None and needed is not None and needed <= newest < op.version:
        wanted = f"version {needed}, which is enough for its types"
        came = f"{op.version}; tflite-runtime 2.14 loads up to {newest}"
        yield op.outputs[0] if op.outputs else None, wanted, came


def wide_softmax(place: Place) -> Told:
    """The reference kernel aborts the process when 512 logits and more are equal."""
    op = place.op
    if op.kind != "SOFTMAX" or not op.inputs or not is_quantized(op.inputs[0]):
        return
    if op.inputs[0].dtype == "INT8" and op.inputs[0].shape[-1:] >= (_SOFTMAX_SUM,):
        came = f"{op.inputs[0].shape[-1]}: the reference aborts when {_SOFTMAX_SUM} are equal"
        yield op.inputs[0], f"fewer than {_SOFTMAX_SUM} logits", came


def _in_integers(op: Operator) -> bool:
    """Computes on quantized activations: conversions alone make no integer model."""
    return op.kind not in BORDERS and any(
        is_quantized(t) and not t.is_constant for t in [*op.inputs, *op.outputs] if t is not None
    )


def _needed_version(op: Operator) -> int | None:
    """The lowest version for the operator's types, where int8x knows it."""
    rule = RULES.get(op.kind)
    if rule is None or not _in_integers(op):
        return None
    tensors = [t for t in [*op.inputs, *op.outputs] if t is not None]
    if any(t.dtype == "INT16" for t in tensors):
        return int16_version(op) if op.kind in INT16 else None
    grids = {t: t.grid for t in tensors if is_quantized(t) and t.grid.axis is None}
    if op.kind == "MUL" and any(t not in grids for t in tensors):
        return None
    return version_for(op, grids)
