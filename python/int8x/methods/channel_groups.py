"""Which activations must be scaled together, channel by channel, for a graph to stay the same."""

import math
from collections.abc import Callable

import numpy as np

from int8x.methods.layers import activation
from int8x.quantization.rules import RULES
from int8x.tflite.subgraph import Operator, Subgraph, Tensor

_SCALED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_REDUCTIONS = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")
_RESHAPES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


class Group:
    """Activations whose channels are divided by the same factors. size: how many factors; channel j
    of the last axis has factor j % size. writers, readers: operators with weights that can take the
    factors up. fixed: whether something else sees the values, so that they must stay. capped:
    tensors to which RELU6 is applied.
    """

    def __init__(self, tensor: Tensor):
        self.tensors, self.size = [tensor], tensor.shape[-1] if tensor.shape else 1
        self.writers: list[Operator] = []
        self.readers: list[Operator] = []
        self.capped: list[Tensor] = []
        self.fixed = self.size < 1 or tensor.range is not None


class Groups:
    """The groups of a subgraph's float activations.

    An operator that is homogeneous in each channel (f(a x) = a f(x) for a > 0: RELU, pools, zero
    padding, means over space, ADD of two activations, ...) puts its inputs and outputs into one
    group. Weights absorb factors, so that a group ends there. Everything else fixes what it
    touches.
    """

    def __init__(self, subgraph: Subgraph):
        self._of: dict[Tensor, Group] = {}
        self._constant_readers: dict[Tensor, int] = {}
        for op in subgraph.operators:
            for tensor in op.inputs:
                if tensor is not None and tensor.is_constant:
                    self._constant_readers[tensor] = self._constant_readers.get(tensor, 0) + 1
        for tensor in [*subgraph.inputs, *subgraph.outputs]:
            self._fix([tensor])
        for op in subgraph.operators:
            self._add(op)

    def of(self, tensor: Tensor) -> Group | None:
        """The group of a float activation."""
        return self._of.get(tensor)

    def free(self) -> list[Group]:
        """The groups that may be scaled, in execution order."""
        every = dict.fromkeys(self._of.values())
        return [g for g in every if not g.fixed and g.writers and g.readers]

    def _group(self, tensor: Tensor) -> Group:
        return self._of.setdefault(tensor, Group(tensor))

    def _fix(self, tensors: list[Tensor | None]) -> None:
        for tensor in tensors:
            if tensor is not None and tensor.is_float and not tensor.is_constant:
                self._group(tensor).fixed = True

    def _add(self, op: Operator) -> None:
        if op.kind in _SCALED and self._absorbs(op):
            data = op.inputs[(RULES[op.kind].data or (0,))[0]]
            self._group(data).readers.append(op)
            self._group(op.outputs[0]).writers.append(op)
            self._activate(op)
            return
        joined = self._joined(op)
        if joined is None:
            self._fix([*op.inputs, *op.outputs])
            return
        first = self._group(op.outputs[0])
        for tensor in joined:
            first = self._join(self._group(tensor), first)
        self._activate(op)

    def _activate(self, op: Operator) -> None:
        kind = activation(op) if op.kind != "RELU6" else "RELU6"
        if kind == "RELU6":
            self._group(op.outputs[0]).capped.append(op.outputs[0])
        elif kind not in ("NONE", "RELU"):
            self._fix([op.outputs[0]])

    def _absorbs(self, op: Operator) -> bool:
        """Whether the operator's weights are its own, float, dense and without given scales."""
        place = RULES[op.kind].weights
        assert place is not None
        weights, bias = op.input(place.index), op.input(place.bias)
        data = op.input((RULES[op.kind].data or (0,))[0])
        if weights is None or data is None or data.is_constant or not data.is_float:
            return False
        constants = [t for t in (weights, bias) if t is not None]
        return not getattr(op.options, "weightsFormat", 0) and all(
            t.is_constant
            and t.is_float
            and t.range is None
            and self._constant_readers[t] == 1
            and (t.raw is None or t.raw.sparsity is None)
            and np.isfinite(t.values).all()
            for t in constants
        )

    def _joined(self, op: Operator) -> list[Tensor] | None:
        """The inputs that share the output's factors, or None where the operator is none of the
        kind.
        """
        allowed = _HOMOGENEOUS.get(op.kind)
        if allowed is None or not op.outputs[0].is_float or not allowed(op):
            return None
        moving = [t for t in op.inputs if t is not None and t.is_float and not t.is_constant]
        return moving or None

    def _join(self, a: Group, b: Group) -> Group:
        if a is b:
            return a
        # Factors that repeat with both sizes repeat with their greatest common divisor.
        a.size = math.gcd(a.size, b.size)
        a.fixed |= b.fixed
        a.tensors += b.tensors
        a.writers += b.writers
        a.readers += b.readers
        a.capped += b.capped
        for tensor in b.tensors:
            self._of[tensor] = a
        return a


def _yes(op: Operator) -> bool:
    return True


def _no_constant(op: Operator) -> bool:
    shapes = {t.shape for t in op.inputs}
    return not any(t.is_constant for t in op.inputs) and len(shapes) == 1


def _with_constant(op: Operator) -> Tensor | None:
    """The constant of an operator that reads one beside an activation of its output's shape."""
    constants = [t for t in op.inputs if t.is_constant]
    moving = [t for t in op.inputs if not t.is_constant]
    same = len(moving) == 1 and moving[0].shape == op.outputs[0].shape
    return constants[0] if same and len(constants) == 1 else None


def _against_zero(op: Operator) -> bool:
    constant = _with_constant(op)
    return constant is not None and not np.any(constant.values)


def _pads_space(op: Operator) -> bool:
    return op.inputs[1].is_constant and not np.any(op.inputs[1].values[-1])


def _reduces_space(op: Operator) -> bool:
    rank = len(op.inputs[0].shape)
    axes = op.inputs[1]
    return axes.is_constant and all(a % rank != rank - 1 for a in axes.values.reshape(-1).tolist())


def _keeps_last(op: Operator) -> bool:
    order = op.inputs[1]
    return order.is_constant and order.values.reshape(-1)[-1] == len(op.inputs[0].shape) - 1


def _joins_space(op: Operator) -> bool:
    rank = len(op.outputs[0].shape)
    return op.options.axis % rank != rank - 1 and not any(t.is_constant for t in op.inputs)


_HOMOGENEOUS: dict[str, Callable[[Operator], bool]] = {
    **dict.fromkeys(("RELU", "RELU6", "LEAKY_RELU", "MAX_POOL_2D", "AVERAGE_POOL_2D"), _yes),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", *_RESHAPES), _yes),
    **dict.fromkeys(_REDUCTIONS, _reduces_space),
    **dict.fromkeys(("PAD", "MIRROR_PAD"), _pads_space),
    **dict.fromkeys(("ADD", "SUB"), _no_constant),
    "PRELU": lambda op: op.inputs[1].is_constant,
    "MUL": lambda op: _with_constant(op) is not None,
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), _against_zero),
    "TRANSPOSE": _keeps_last,
    "CONCATENATION": _joins_space,
}
