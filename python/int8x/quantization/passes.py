"""Float-to-float passes that run before calibration: each is a function of a Graph that edits it
and keeps what it computes.

Exactly-zero weights stay zero through every pass, and graph.ranges moves along with its tensors.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from int8x.methods.equalization import equalize
from int8x.quantization.dilations import VIEWS, fuse_dilations
from int8x.quantization.equivalents import replace_operators, replace_sums, scale_ranges
from int8x.quantization.flattened_dense import keep_ranks
from int8x.quantization.markers import read_integers, recover_weight_grids, strip_markers
from int8x.quantization.recipe import Recipe, resolve
from int8x.quantization.rules import RULES, Weights
from int8x.quantization.wide_equivalents import replace_for_int16
from int8x.tflite.graph import Graph
from int8x.tflite.schema import value
from int8x.tflite.sparsity import dense, is_sparse
from int8x.tflite.subgraph import Operator, Subgraph, Tensor

__all__ = [
    "PASSES",
    "add_biases",
    "equalize",
    "fold_float16",
    "fold_multiply_add",
    "fold_reshape_shapes",
    "fold_sparse",
    "fuse_activations",
    "fuse_dilations",
    "keep_ranks",
    "prepare",
    "read_integers",
    "recover_weight_grids",
    "remove_dead",
    "remove_no_ops",
    "replace_for_int16",
    "replace_operators",
    "replace_sums",
    "scale_ranges",
    "strip_markers",
    "unique_names",
]

_ACTIVATIONS = {"RELU": "RELU", "RELU6": "RELU6", "RELU_N1_TO_1": "RELU_N1_TO_1"}
FUSES = (
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "ADD",
    "SUB",
    "MUL",
    "AVERAGE_POOL_2D",
    "MAX_POOL_2D",
)
# Operators that do nothing but compute their results.
_PURE = {*RULES, "CAST", "FILL", "RANGE", "RANK", "REDUCE_PROD", "ZEROS_LIKE"}
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def prepare(graph: Graph, recipe: Any = "int8") -> Graph:
    """The graph that is calibrated and quantized: `graph`, edited by PASSES in turn. Statistics
    belong to its result.

    >>> prepared = prepare(Graph.load("float.tflite"))
    """
    resolved = resolve(recipe)
    for run in PASSES:
        run(graph, resolved)
    graph.compact()
    return graph


def fold_sparse(graph: Graph, recipe: Recipe | None = None) -> None:
    """Sparse float constants become dense ones; the DENSIFY operators behind them go away."""
    for subgraph in graph.subgraphs:
        for tensor in subgraph.tensors:
            if is_sparse(tensor) and tensor.dtype in ("FLOAT32", "FLOAT16"):
                tensor.data, tensor.raw = dense(tensor), None
        for op in list(subgraph.operators):
            source = op.input(0)
            if op.kind != "DENSIFY" or source is None or not source.is_constant:
                continue
            if source.is_float or source.dtype == "FLOAT16":
                op.outputs[0].data = source.values
                subgraph.remove([op])


def fold_float16(graph: Graph, recipe: Recipe | None = None) -> None:
    """DEQUANTIZE of a float16 constant becomes the float32 constant."""
    for subgraph in graph.subgraphs:
        for op in list(subgraph.operators):
            source = op.input(0)
            if (
                op.kind == "DEQUANTIZE"
                and source is not None
                and source.is_constant
                and source.dtype == "FLOAT16"
            ):
                op.outputs[0].data = source.values.astype(np.float32)
                subgraph.remove([op])


def fuse_activations(graph: Graph, recipe: Recipe | None = None) -> None:
    """A standalone RELU, RELU6 or RELU_N1_TO_1 moves into the operator before it, or before the
    view before it, when nothing else reads that one's result.
    """
    for subgraph in graph.subgraphs:
        links = subgraph.links()
        for op in list(subgraph.operators):
            if op.kind not in _ACTIVATIONS:
                continue
            producer, last = _computes(subgraph, links, op.inputs[0])
            if producer is None or producer.kind not in FUSES:
                continue
            if producer.options is None or producer.options.fusedActivationFunction:
                continue
            producer.options.fusedActivationFunction = value(
                "ActivationFunctionType", _ACTIVATIONS[op.kind]
            )
            _absorb(subgraph, links, last, op)


def fold_multiply_add(graph: Graph, recipe: Recipe | None = None) -> None:
    """MUL and ADD (SUB) of a constant per channel, after an operator with weights or a view of its
    result, move into its weights and bias.
    """
    for subgraph in graph.subgraphs:
        links = subgraph.links()
        for op in list(subgraph.operators):
            if op.kind not in ("MUL", "ADD", "SUB") or len(op.inputs) != 2:
                continue
            data, constant = op.inputs
            if op.kind != "SUB" and data.is_constant:
                data, constant = constant, data
            producer, last = _computes(subgraph, links, data)
            if producer is None or producer.kind not in _WEIGHTED:
                continue
            if (
                producer.options.fusedActivationFunction
                or not constant.is_constant
                or not constant.is_float
            ):
                continue
            per_channel = _per_channel(constant, data, op.outputs[0])
            if per_channel is None or not _has_plain_weights(producer):
                continue
            if data.shape[-1:] != producer.outputs[0].shape[-1:]:
                continue
            if op.kind == "MUL":
                _scale_weights(subgraph, producer, per_channel)
            else:
                _set_bias(
                    subgraph,
                    producer,
                    _bias(producer) + (per_channel if op.kind == "ADD" else -per_channel),
                )
            producer.options.fusedActivationFunction = op.options.fusedActivationFunction
            _absorb(subgraph, links, last, op)


def add_biases(graph: Graph, recipe: Recipe | None = None) -> None:
    """CONV_2D and DEPTHWISE_CONV_2D without a bias get one of zeros: runtimes refuse, or crash on,
    those without.
    """
    for subgraph in graph.subgraphs:
        for op in subgraph.operators:
            if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D") and op.input(_place(op).bias) is None:
                _set_bias(subgraph, op, _bias(op))


def remove_no_ops(graph: Graph, recipe: Recipe | None = None) -> None:
    """Takes out operators that hand on their input unchanged, and the first of two RESHAPEs in a
    row.
    """
    for subgraph in graph.subgraphs:
        links = subgraph.links()
        for op in list(subgraph.operators):
            source = op.input(0)
            if op.kind == "RESHAPE" and source is not None:
                before = links.producer(source)
                if (
                    before is not None
                    and before.kind == "RESHAPE"
                    and subgraph.is_read_once(source, links)
                ):
                    op.inputs[0] = before.inputs[0]
                    subgraph.remove([before])
                    links = subgraph.links()
            if _hands_on(op) and op.outputs[0] not in subgraph.outputs:
                kept, gone = op.inputs[0], op.outputs[0]
                kept.range = kept.range or gone.range
                subgraph.replace(gone, kept)
                subgraph.remove([op])
                links = subgraph.links()


def fold_reshape_shapes(graph: Graph, recipe: Recipe | None = None) -> None:
    """A RESHAPE to [SHAPE(x)[0], constants...] gets the constant shape [-1, constants...], which
    means the same.
    """
    for subgraph in graph.subgraphs:
        links = subgraph.links()
        for op in subgraph.operators:
            pack = (
                links.producer(op.inputs[1])
                if op.kind == "RESHAPE" and op.input(1) is not None
                else None
            )
            if (
                pack is None
                or pack.kind != "PACK"
                or any(t is None or t.size != 1 for t in pack.inputs)
            ):
                continue
            sizes = [int(t.values.reshape(-1)[0]) if t.is_constant else None for t in pack.inputs]
            if sizes.count(None) == 1 and all(size is None or size > 0 for size in sizes):
                shape = np.array([-1 if size is None else size for size in sizes], np.int32)
                op.inputs[1] = subgraph.add_constant(f"{op.name}/shape", shape)


def remove_dead(graph: Graph, recipe: Recipe | None = None) -> None:
    """Takes out operators (without side effects) whose results nobody reads."""
    for subgraph in graph.subgraphs:
        needed = set(subgraph.outputs)
        for op in reversed(subgraph.operators):
            if op.kind not in _PURE or any(tensor in needed for tensor in op.outputs):
                needed.update(tensor for tensor in op.inputs if tensor is not None)
        subgraph.remove(
            [op for op in subgraph.operators if op.kind in _PURE and needed.isdisjoint(op.outputs)]
        )


def unique_names(graph: Graph, recipe: Recipe | None = None) -> None:
    """Gives each float tensor of the first subgraph a name that no other has, for statistics and
    reports.
    """
    seen: set[str] = set()
    interface = {*graph.main.inputs, *graph.main.outputs}
    for tensor in sorted(graph.main.tensors, key=lambda t: t not in interface):
        base, number = tensor.name or "tensor", 2
        while tensor.name in seen or not tensor.name:
            tensor.name, number = f"{base}#{number}", number + 1
        seen.add(tensor.name)


PASSES: list[Callable[[Graph, Recipe], None]] = [
    fold_sparse,
    fold_float16,
    replace_operators,
    strip_markers,
    read_integers,
    replace_sums,
    scale_ranges,
    fuse_dilations,
    fold_reshape_shapes,
    keep_ranks,
    remove_dead,
    remove_no_ops,
    fold_multiply_add,
    fuse_activations,
    add_biases,
    replace_for_int16,
    equalize,
    unique_names,
]


def _computes(
    subgraph: Subgraph, links: Any, tensor: Tensor
) -> tuple[Operator | None, Operator | None]:
    """What computes the tensor, behind a view too, and what writes it: the same, or the view. None
    when something else reads it, or what lies between.
    """
    last = links.producer(tensor) if subgraph.is_read_once(tensor, links) else None
    if last is None or last.kind not in VIEWS or last.inputs[0] is None:
        return last, last
    under = last.inputs[0]
    return (links.producer(under) if subgraph.is_read_once(under, links) else None), last


def _absorb(subgraph: Subgraph, links: Any, last: Operator | None, op: Operator) -> None:
    """`last` now writes what `op` did; only constants were added to what it reads."""
    assert last is not None
    subgraph.remove([op])
    last.outputs[0] = op.outputs[0]
    links.producers[op.outputs[0]] = last


def _per_channel(constant: Tensor, data: Tensor, output: Tensor) -> np.ndarray | None:
    """The constant as one value per last-axis channel of `data`, None when it is not that."""
    if not data.shape or data.shape != output.shape:
        return None
    array = constant.values
    if array.size == 1:
        return np.full(data.shape[-1], array.reshape(-1)[0], np.float32)
    return array.reshape(-1) if array.shape[-1] == array.size == data.shape[-1] else None


def _has_plain_weights(op: Operator) -> bool:
    place = _place(op)
    weights, bias = op.input(place.index), op.input(place.bias)
    constants = [tensor for tensor in (weights, bias) if tensor is not None]
    return bool(constants) and all(
        t.is_constant and t.is_float and (t.raw is None or t.raw.sparsity is None)
        for t in constants
    )


def _place(op: Operator) -> Weights:
    place = RULES[op.kind].weights
    assert place is not None, op.kind
    return place


def _bias(op: Operator) -> np.ndarray:
    place = _place(op)
    bias = op.input(place.bias)
    if bias is None:
        return np.zeros(op.inputs[place.index].shape[place.axis], np.float32)
    return bias.values.reshape(-1)


def _set_bias(subgraph: Subgraph, op: Operator, bias: np.ndarray) -> None:
    index = _place(op).bias
    op.inputs += [None] * (index + 1 - len(op.inputs))
    old = op.inputs[index]
    name = old.name if old is not None else f"{op.name}/bias"
    op.inputs[index] = subgraph.add_constant(name, bias.astype(np.float32))


def _scale_weights(subgraph: Subgraph, op: Operator, factors: np.ndarray) -> None:
    place = _place(op)
    old = op.inputs[place.index]
    shape = [1] * len(old.shape)
    shape[place.axis] = -1
    with np.errstate(all="ignore"):  # what is no number is told when it is quantized
        scaled = (old.values * factors.reshape(shape)).astype(np.float32)
    new = subgraph.add_constant(old.name, scaled)
    if old.range is not None and np.all(factors != 0):
        scales = (old.range.scales.astype(np.float64) * np.abs(factors)).astype(np.float32)
        if np.all(np.isfinite(scales)) and np.all(scales > 0):
            new.range = dataclasses.replace(old.range, scale=scales, zero_point=0, axis=place.axis)
    op.inputs[place.index] = new
    _set_bias(subgraph, op, _bias(op) * factors)


def _hands_on(op: Operator) -> bool:
    if op.kind not in (
        "RESHAPE",
        "SQUEEZE",
        "EXPAND_DIMS",
        "TRANSPOSE",
        "PAD",
        "CONCATENATION",
        "CAST",
        "RELU",
        "RELU6",
    ):
        return False
    source, result = op.inputs[0], op.outputs[0]
    if source is None or source.is_constant or source.dtype != result.dtype:
        return False
    if source.shape != result.shape or (source.signature or source.shape) != (
        result.signature or result.shape
    ):
        return False
    if op.kind in VIEWS:
        return -1 not in (source.signature or ())
    if op.kind == "TRANSPOSE":
        order = op.inputs[1]
        return order.is_constant and np.array_equal(order.values, np.arange(len(source.shape)))
    if op.kind == "PAD":
        return op.inputs[1].is_constant and not np.any(op.inputs[1].values)
    if op.kind == "CONCATENATION":
        return len(op.inputs) == 1 and not op.options.fusedActivationFunction
    return op.kind == "CAST"
