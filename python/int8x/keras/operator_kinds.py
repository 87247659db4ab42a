"""What TensorFlow's operators of one call do to the int8 grid, where the call's class says nothing:
those of a Lambda, of a user's own layer, of an operation that int8x.keras.kinds does not list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
# Of one tensor, ConcatV2 and Pack too.
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
        "ConcatV2",
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
        "PadV2",
        "Rsqrt",
        "Square",
        "Sub",
        "Sum",
    }
)
_FUSING = frozenset({"Add", "AddV2", "Mul", "Sub"})
_PRODUCTS = frozenset({"BatchMatMulV2", "Einsum"})
SIZES = frozenset({"Rank", "Shape", "ShapeN", "Size"})
_RELUS = frozenset({"Relu", "Relu6"})
_L2_NORMALIZE = ("Square", "Sum", "Maximum", "Rsqrt", "Mul")


@dataclass(frozen=True)
class Inside:
    """What one call consists of.

    operators: in the order of their making. inputs, outputs: its floating tensors. is_constant:
    whether a tensor depends on no input of the model.
    """

    operators: Sequence[tf.Operation]
    inputs: Sequence[tf.Tensor]
    outputs: Sequence[tf.Tensor]
    is_constant: Callable[[tf.Tensor], bool]

    def kind(self) -> str | None:
        """The kind of the call; None where several of its operators round, or what one does is not
        known.
        """
        computing = [op for op in self.operators if self._computes(op)]
        rounding = [op for op in computing if op.type not in _MOVES]
        if self.outputs and all(self._is_moved(y) for y in self.outputs):
            return kinds.SAME
        if self.outputs and all(self.is_constant(y) for y in self.outputs):
            return kinds.FREE
        if len(rounding) != 1 or any(self._leaves_float(op) for op in self.operators):
            return None
        (op,) = rounding
        if rectifies(op):
            return kinds.RELU if len(computing) == 1 and not self._views() else kinds.FREE
        if op.type in _AVERAGES:
            return kinds.SAME_ROUNDED if self._is_moved(op.inputs[0]) else None
        if op.type == "RealDiv":
            return kinds.FREE if self.is_constant(op.inputs[1]) else None
        if op.type == "Pow":
            return kinds.FREE if _number(op.inputs[1]) in (2, -0.5) else None
        if op.type in _PRODUCTS:  # a kernel would be rounded in the file, and is not in training
            return None if any(self.is_constant(x) for x in op.inputs) else kinds.FREE
        return kinds.FREE if op.type in _FREE else None

    def normalizes_channels(self) -> bool:
        """Whether it is `tf.math.l2_normalize` over the last axis."""
        computing = [op for op in self.operators if self._computes(op)]
        if tuple(op.type for op in computing) != _L2_NORMALIZE:
            return False
        axes = tf.get_static_value(computing[1].inputs[1])
        last = (-1, len(computing[1].inputs[0].shape) - 1)
        return axes is not None and axes.size == 1 and int(axes.item()) in last

    def _computes(self, operator: tf.Operation) -> bool:
        """Whether an operator makes floating numbers of inputs, and is no view and no constant."""
        if operator.type in VIEWS or operator.type in ("Const", "ReadVariableOp"):
            return False
        return any(t.dtype.is_floating and not self.is_constant(t) for t in operator.outputs)

    def _is_moved(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor holds numbers of the call's one input as they are, and no others."""
        sources = {x.ref() for x in self.inputs}
        pending, seen = [tensor], set()
        while pending:
            y = pending.pop()
            if y.ref() in sources or y.ref() in seen:
                continue
            seen.add(y.ref())
            if not y.dtype.is_floating or not tf.is_symbolic_tensor(y):
                return False
            if y.op.type in ("ConcatV2", "Pack"):
                pending += [x for x in y.op.inputs if x.dtype == y.dtype]
            elif (source := moved_from(y.op)) is not None:
                pending.append(source)
            else:
                return False
        return len(sources) == 1

    def _leaves_float(self, operator: tf.Operation) -> bool:
        """Whether it makes of floating numbers something else: a comparison, a cast."""
        made = operator.outputs and not any(t.dtype.is_floating for t in operator.outputs)
        return bool(made) and any(
            x.dtype.is_floating and not self.is_constant(x)
            for x in operator.inputs
            if operator.type not in SIZES
        )

    def _views(self) -> bool:
        return any(op.type in VIEWS and op.type != "Identity" for op in self.operators)


def moved_from(operator: tf.Operation) -> tf.Tensor | None:
    """The tensor whose numbers an operator moves or views; None when it does neither."""
    if operator.type in VIEWS or operator.type in _MOVES:
        return operator.inputs[1 if operator.type == "Split" else 0]
    return None


def needs_no_range(operator: tf.Operation, reader: tf.Operation) -> bool:
    """Whether no range must be learned for an operator's result, which another alone reads: that
    one fuses with it, or its grid follows from what it reads.
    """
    numbers = [_number(x) for x in operator.inputs]
    if operator.type in _FUSING and rectifies(reader):
        return len(operator.outputs[0].consumers()) == 1
    if operator.type in ("Maximum", "Minimum"):
        return any(number is not None for number in numbers)
    return operator.type == "Mul" and any(number is not None and number > 0 for number in numbers)


def rectifies(operator: tf.Operation) -> bool:
    """Whether an operator is a ReLU that fuses with what it reads."""
    return operator.type in _RELUS or (operator.type == "Maximum" and _has_zero(operator))


def _number(tensor: tf.Tensor) -> float | None:
    """A constant's one number, if that is what it is."""
    value = tf.get_static_value(tensor)
    return float(np.ravel(value)[0]) if value is not None and np.size(value) == 1 else None


def _has_zero(operator: tf.Operation) -> bool:
    """Whether one of its tensors is the constant zero."""
    values = [tf.get_static_value(t) for t in operator.inputs]
    return any(value is not None and not np.any(value) for value in values)
