"""What is in a .tflite and what the delegate makes of it: operators, types, scales, sizes,
sparsity, partitions, float islands, and what is wrong or wasted.
"""

import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from int8x import lints
from int8x.errors import ModelError
from int8x.inspection.float_islands import float_islands
from int8x.quantization.rules import RULES
from int8x.runtime import claims as _claims
from int8x.runtime.interpreter import Interpreter
from int8x.tflite import graph as _graph
from int8x.tflite.sparsity import dense, is_sparse
from int8x.tflite.subgraph import Operator, Tensor


@dataclass(frozen=True)
class TensorView:
    """A tensor as a reader wants it: `bytes` of a constant (0 for an activation), `axis` of
    per-channel scales.

    Of weights also: zeros, the share of values that stand for zero; zero_blocks, the share of 1x4
    blocks along input channels that hold nothing else (None where input channels do not divide by
    4, and for depthwise); sparse, whether the file stores them so.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None
    bytes: int
    zeros: float | None = None
    zero_blocks: float | None = None
    sparse: bool = False


@dataclass(frozen=True)
class OperatorView:
    """One operator; `claimed` is None when no runtime could load the model, `reason` says why it is
    not claimed.
    """

    subgraph: int
    index: int
    kind: str
    version: int
    inputs: tuple[TensorView, ...]
    outputs: tuple[TensorView, ...]
    macs: int
    claimed: bool | None
    reason: str


@dataclass(frozen=True)
class Inspection:
    """`float_islands` are groups of operators, joined by float tensors, that compute in float:
    (subgraph, index) pairs.

    `problem` is why the runtime refuses the model; then nothing is known of the delegate.
    `findings` are those of int8x.lints.
    """

    model: str
    file_bytes: int
    constant_bytes: int
    operators: tuple[OperatorView, ...]
    float_islands: tuple[tuple[tuple[int, int], ...], ...]
    claims: _claims.Claims | None
    problem: str
    findings: tuple[lints.Finding, ...] = ()

    @property
    def macs(self) -> int:
        return sum(operator.macs for operator in self.operators)

    def to_json(self) -> dict[str, Any]:
        document = asdict(self)
        del document["claims"]
        document["macs"] = self.macs
        if self.claims is not None:
            document["delegate"] = {
                "arch": self.claims.arch,
                "claimed_ops": self.claims.claimed_ops,
                "claimed_macs": self.claims.claimed_macs,
                "partitions": self.claims.partitions,
                "arena_bytes": self.claims.arena_bytes,
                "packed_bytes": self.claims.packed_bytes,
            }
        return document


def inspect(
    model: str | os.PathLike[str] | bytes, options: dict[str, Any] | None = None
) -> Inspection:
    """Reads `model`, a path or bytes, and lets the delegate look at it; `options` go to the
    delegate.

    Raises ModelError for a broken file. A sound model that the runtime cannot run (custom
    operators) is described too.

        report = int8x.inspection.inspector.inspect("model.int8.tflite")
        print(report.claims.partitions, report.float_islands)
        print(*report.findings, sep="\n")
    """
    content = (
        bytes(model)
        if isinstance(model, (bytes, bytearray, memoryview))
        else Path(model).read_bytes()
    )
    label = "model" if isinstance(model, (bytes, bytearray, memoryview)) else str(model)
    graph = _graph.Graph.from_bytes(content, label)
    claims, problem = None, ""
    try:
        claims = Interpreter(content, options=options, resolver="stock").claims
    except ModelError as error:
        problem = str(error)
    operators = _operator_views(graph, claims)
    constants = {
        id(t.buffer): t.buffer.nbytes
        for s in graph.subgraphs
        for t in s.tensors
        if t.buffer is not None
    }
    islands = tuple(
        tuple((number, index) for index in island)
        for number, s in enumerate(graph.subgraphs)
        for island in float_islands(s)
    )
    sizes = len(content), sum(constants.values())
    return Inspection(label, *sizes, operators, islands, claims, problem, lints.find(graph))


def _operator_views(graph: _graph.Graph, claims: _claims.Claims | None) -> tuple[OperatorView, ...]:
    """The delegate counts nodes as the file does, and subgraphs in the order in which the runtime
    shows them.
    """
    known = {}
    for offered in claims.subgraphs if claims else ():
        known.update({(offered.index, node.index): node for node in offered.nodes})
    views = []
    for number, subgraph in enumerate(graph.subgraphs):
        for index, op in enumerate(subgraph.operators):
            node = known.get((number, index))
            claimed = node.claimed if node else False if claims else None
            reason = node.reason if node else "the delegate was not shown it" if claims else ""
            weights = _weights(op)
            tensors = tuple(_tensor_view(t, t is weights, op) for t in op.inputs if t is not None)
            outputs = tuple(_tensor_view(t, False, op) for t in op.outputs)
            kind = op.custom_code or op.kind if op.kind == "CUSTOM" else op.kind
            views.append(
                OperatorView(
                    number, index, kind, op.version, tensors, outputs, macs(op), claimed, reason
                )
            )
    return tuple(views)


def _tensor_view(tensor: Tensor, weights: bool, op: Operator) -> TensorView:
    quant = tensor.quant
    zeros, zero_blocks = _sparsity(tensor, op) if weights else (None, None)
    return TensorView(
        tensor.name,
        tensor.dtype,
        tensor.shape,
        tuple(float(s) for s in quant.scales) if quant else (),
        tuple(int(z) for z in quant.zero_points) if quant else (),
        quant.axis if quant else None,
        0 if tensor.buffer is None else tensor.buffer.nbytes,
        zeros,
        zero_blocks,
        is_sparse(tensor),
    )


def _weights(op: Operator) -> Tensor | None:
    """The operator's constant weights."""
    rule = RULES.get(op.kind)
    found: Tensor | None = (
        None if rule is None or rule.weights is None else op.input(rule.weights.index)
    )
    return found if found is not None and found.is_constant else None


def _sparsity(tensor: Tensor, op: Operator) -> tuple[float | None, float | None]:
    """The shares of zeros and of zero 1x4 blocks; None where there are none to count."""
    try:
        values = dense(tensor) if is_sparse(tensor) else tensor.values
    except TypeError:  # a type that numpy does not have
        return None, None
    if not values.size:
        return None, None
    point = 0 if tensor.quant is None or tensor.quant.axis is not None else tensor.quant.zero_point
    zero: np.ndarray = values == point
    blocks = None
    if op.kind != "DEPTHWISE_CONV_2D" and values.ndim and values.shape[-1] % 4 == 0:
        blocks = float(zero.reshape(-1, 4).all(axis=1).mean())
    return float(zero.mean()), blocks


def _shape(op: Operator, index: int) -> tuple[int, ...]:
    """The shape of an input; IndexError where it is left out."""
    tensor = op.input(index)
    if tensor is None:
        raise IndexError(index)
    return tensor.shape


def _product(shape: tuple[int, ...]) -> int:
    return math.prod(max(d, 1) for d in shape)


def _convolution_macs(op: Operator) -> int:
    return _product(op.outputs[0].shape) * _product(_shape(op, 1)[1:])


def _depthwise_macs(op: Operator) -> int:
    return _product(op.outputs[0].shape) * _product(_shape(op, 1)[1:3])


def _fully_connected_macs(op: Operator) -> int:
    return _product(op.outputs[0].shape) * _shape(op, 1)[-1]


def _transpose_conv_macs(op: Operator) -> int:
    return _product(_shape(op, 2)) * _product(_shape(op, 1)[:3])


def _batch_matmul_macs(op: Operator) -> int:
    inner = -2 if getattr(op.options, "adjX", False) else -1
    return _product(op.outputs[0].shape) * _shape(op, 0)[inner]


_MACS: dict[str, Callable[[Operator], int]] = {
    "CONV_2D": _convolution_macs,
    "DEPTHWISE_CONV_2D": _depthwise_macs,
    "FULLY_CONNECTED": _fully_connected_macs,
    "TRANSPOSE_CONV": _transpose_conv_macs,
    "BATCH_MATMUL": _batch_matmul_macs,
}


def macs(op: Operator) -> int:
    """Multiply-accumulates of one run, open dimensions counted as 1; 0 for operators that are not
    sums of products.
    """
    try:
        return _MACS[op.kind](op) if op.kind in _MACS else 0
    except IndexError:  # inputs missing, or of a rank that the operator does not have
        return 0
