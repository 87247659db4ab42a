"""What TensorFlow's operators of one call do to the int8 grid, where the call's class says nothing:
those of a Lambda, of a user's own layer, of an operation that int8x.keras.kinds does not list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from int8x.keras import kinds

VIEWS = frozenset(
    {
        "Identity",
        "Cast",
        "Reshape",
        "Squeeze",
        "ExpandDims",
        "Transpose",
        "StopGradient",
        "EnsureShape",
    }
)
# Of one tensor, "ConcatV2" and "Pack" too.
_MOVES = frozenset(
    {
        "BatchToSpaceND",
        "BroadcastTo",
        "DepthToSpace",
        "GatherV2",
        "Max",
        "MaxPool",
        "Min",
        "MirrorPad",
        "Pad",
        "ResizeNearestNeighbor",
        "ReverseV2",
        "Roll",
        "Slice",
        "SpaceToBatchND",
        "SpaceToDepth",
        "Split",
        "SplitV",
        "StridedSlice",
        "Tile",
        "Unpack",
    }
)
_AVERAGES = frozenset({"AvgPool", "ResizeBilinear"})
# What TFLite has in int8, with a grid of its own for the result. Sqrt, whose kernel is mostly a
# step off, is not among them.
_FREE = frozenset(
    {
        "Abs",
        "Add",
        "AddV2",
        "BatchMatMulV2",
        "ConcatV2",
        "Einsum",
        "Elu",
        "Exp",
        "LeakyRelu",
        "Log",
        "Maximum",
        "Mean",
        "Minimum",
        "Mul",
        "Neg",
        "Pack",
        "Rsqrt",
        "Square",
        "Sub",
        "Sum",
    }
)
_RELUS = frozenset({"Relu", "Relu6"})
_L2_NORMALIZE = ("Square", "Sum", "Maximum", "Rsqrt", "Mul")


def kind_of_operators(
    operators: Sequence[tf.Operation], inputs: int, is_constant: Callable[[tf.Tensor], bool]
) -> str | None:
    """The kind of a call that consists of these operators and reads so many tensors; None where
    several of its operators round, or what one does is not known.

    is_constant: whether a tensor depends on no input of the model.
    """
    computing = [op for op in operators if _computes(op, is_constant)]
    rounding = [op for op in computing if not _moves(op, inputs, is_constant)]
    types = [op.type for op in rounding]
    if not rounding:
        return kinds.SAME if inputs == 1 else None
    if inputs == 1 and types == ["Minimum", "Maximum"]:
        return kinds.FREE  # a clip
    if len(rounding) != 1:
        return None
    (op,) = rounding
    if op.type in _RELUS or (op.type == "Maximum" and _has_zero(op)):
        return kinds.RELU if len(computing) == 1 and not _views(operators) else kinds.FREE
    if op.type in _AVERAGES:
        return kinds.SAME_ROUNDED if inputs == 1 else None
    if op.type == "RealDiv":
        return kinds.FREE if is_constant(op.inputs[1]) else None
    if op.type == "Pow":
        return kinds.FREE if tf.get_static_value(op.inputs[1]) in (2, -0.5) else None
    return kinds.FREE if op.type in _FREE else None


def normalizes_channels(
    operators: Sequence[tf.Operation], is_constant: Callable[[tf.Tensor], bool]
) -> bool:
    """Whether operators are those of `tf.math.l2_normalize` over the last axis."""
    computing = [op for op in operators if _computes(op, is_constant)]
    if tuple(op.type for op in computing) != _L2_NORMALIZE:
        return False
    axes = tf.get_static_value(computing[1].inputs[1])
    last = (-1, len(computing[1].inputs[0].shape) - 1)
    return axes is not None and axes.size == 1 and int(axes.item()) in last


def _computes(operator: tf.Operation, is_constant: Callable[[tf.Tensor], bool]) -> bool:
    """Whether an operator makes floating numbers of inputs, and neither views nor holds them."""
    if operator.type in VIEWS or operator.type in ("Const", "ReadVariableOp"):
        return False
    return any(t.dtype.is_floating and not is_constant(t) for t in operator.outputs)


def _moves(operator: tf.Operation, inputs: int, is_constant: Callable[[tf.Tensor], bool]) -> bool:
    """Whether an operator gives numbers of the call's one tensor as they are."""
    if operator.type not in ("ConcatV2", "Pack"):
        return operator.type in _MOVES
    return inputs == 1 and not any(t.dtype.is_floating and is_constant(t) for t in operator.inputs)


def _views(operators: Sequence[tf.Operation]) -> bool:
    return any(op.type in VIEWS and op.type != "Identity" for op in operators)


def _has_zero(operator: tf.Operation) -> bool:
    """Whether one of its tensors is the constant zero."""
    values = [tf.get_static_value(t) for t in operator.inputs]
    return any(value is not None and not np.any(value) for value in values)
