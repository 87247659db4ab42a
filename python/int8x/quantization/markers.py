"""Ranges that a float .tflite carries inside itself: QUANTIZE/DEQUANTIZE pairs, and weights that
already lie on a grid.
"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from int8x.quantization.rules import RULES
from int8x.tflite.graph import Graph
from int8x.tflite.quant_params import QuantParams
from int8x.tflite.schema import make
from int8x.tflite.subgraph import Operator, Subgraph, Tensor

if TYPE_CHECKING:
    from int8x.quantization.recipe import Recipe

_INTEGERS = ("INT8", "UINT8")
_COARSE = 16
_TOLERANCE = 1e-3  # of one step: float32 rounding through a folded BatchNorm stays below 2e-5


def strip_markers(graph: Graph, recipe: "Recipe | None" = None) -> None:
    """float -> QUANTIZE -> DEQUANTIZE -> float, which TensorFlow's converter writes for a
    fake-quant node, goes away and becomes the range of the float tensor before it. DEQUANTIZE of an
    integer constant becomes the float constant, its scales becoming the constant's range. uint8
    grids are moved to int8: zero_point - 128, same scale. The first marker of a tensor counts. A
    matrix product from whose input the converter took the DEQUANTIZE away reads the float again.

    >>> strip_markers(graph); graph.ranges["conv1"]
    """
    for subgraph in graph.subgraphs:
        links = subgraph.links()
        for op in list(subgraph.operators):
            coded = op.input(0)
            if (
                op.kind != "DEQUANTIZE"
                or coded is None
                or coded.quant is None
                or coded.dtype not in _INTEGERS
            ):
                continue
            params, result = _signed(coded), op.outputs[0]
            quantize = links.producer(coded)
            if quantize is not None and quantize.kind == "QUANTIZE" and quantize.inputs[0].is_float:
                source = quantize.inputs[0]
                if result in subgraph.outputs and (
                    source in subgraph.inputs or source in subgraph.outputs or source.is_constant
                ):
                    continue
                source.range = source.range or params
                _become(graph, subgraph, source, result)
                subgraph.remove([op])
            elif coded.is_constant and (coded.raw is None or coded.raw.sparsity is None):
                _set_constant(result, coded, params)
                subgraph.remove([op])
        links = subgraph.links()
        for op in subgraph.operators:
            if op.kind == "QUANTIZE" and op.inputs[0].is_float:
                coded = op.outputs[0]
                if all(_is_float_product(reader) for reader in links.consumers(coded)):
                    op.inputs[0].range = op.inputs[0].range or _signed(coded)
                    for reader in links.consumers(coded):
                        reader.inputs = [op.inputs[0] if t is coded else t for t in reader.inputs]
        links = subgraph.links()
        subgraph.remove(
            [
                op
                for op in subgraph.operators
                if op.kind == "QUANTIZE"
                and not links.consumers(op.outputs[0])
                and op.outputs[0] not in subgraph.outputs
            ]
        )


def read_integers(graph: Graph, recipe: "Recipe | None" = None) -> None:
    """CAST of a model input of whole numbers, uint8 pixels or int8, to float becomes a DEQUANTIZE
    of scale 1, which computes the same; and what a DEQUANTIZE of a model input makes gets the
    input's grid as its range, so that int8 operators read the integers as they come.

    Does nothing unless the recipe can make activations integers.

    >>> read_integers(graph, Recipe("int8")); graph.main.operators[0].kind
    'DEQUANTIZE'
    """
    if recipe is None or not recipe.needs_ranges:
        return
    links = graph.main.links()
    for coded in graph.main.inputs:
        if coded.dtype not in _INTEGERS:
            continue
        readers = links.consumers(coded)
        if coded.quant is None and readers and all(_reads_numbers(op) for op in readers):
            coded.quant = QuantParams(1.0, 0)
            for op in readers:
                op.kind, op.options, op.version = "DEQUANTIZE", make("DequantizeOptions"), 2
        for op in readers:
            if op.kind == "DEQUANTIZE" and coded.quant is not None:
                source = "the model's input"
                grid = dataclasses.replace(_signed(coded), source=source)
                op.outputs[0].range = op.outputs[0].range or grid


def reads_integers(op: Operator) -> bool:
    """Whether an operator of the prepared graph only tells what a model input's integers mean."""
    coded = op.input(0)
    if op.kind != "DEQUANTIZE" or coded is None or op.outputs[0].range is None:
        return False
    return coded.dtype in _INTEGERS and not coded.is_constant


def _reads_numbers(op: Operator) -> bool:
    return op.kind == "CAST" and op.outputs[0].is_float


def _is_float_product(op: Operator) -> bool:
    """Whether an operator is a float one, but for an input from which the converter took the
    DEQUANTIZE away, as it does with matrix products of higher rank.
    """
    rule = RULES.get(op.kind)
    weights = None if rule is None or rule.weights is None else op.input(rule.weights.index)
    if weights is None or not weights.is_constant or not weights.is_float:
        return False
    return all(tensor.is_float for tensor in op.outputs)


def recover_weight_grids(graph: Graph, recipe: "Recipe | None" = None) -> int:
    """Gives constant weights that lie on an integer grid that grid as their range: per output
    channel scale = max|w| / k for the smallest k <= 127 that makes every w / scale an integer.
    Returns how many channels were found; others get max|w| / 127 within a tensor where any was
    found, and weights that have a range keep it. A k below 16 is replaced by its largest multiple.
    All-zero channels take the largest scale.

    >>> recover_weight_grids(graph)
    """
    found = 0
    for subgraph in graph.subgraphs:
        for op in subgraph.operators:
            rule = RULES.get(op.kind)
            place = None if rule is None else rule.weights
            if place is None:
                continue
            weights = op.input(place.index)
            if (
                weights is None
                or not weights.is_constant
                or not weights.is_float
                or weights.range is not None
            ):
                continue
            if weights.raw is not None and weights.raw.sparsity is not None:
                continue
            rows = np.moveaxis(weights.values, place.axis, 0).reshape(weights.shape[place.axis], -1)
            steps = grid_steps(rows)
            largest = np.abs(rows).max(axis=1, initial=0).astype(np.float64)
            if not np.any(steps[largest > 0]):
                continue
            found += int(np.count_nonzero(steps[largest > 0]))
            # Few values fit coarse grids too; a multiple holds the same weights and a finer bias.
            steps = np.where(steps < _COARSE, steps * (127 // np.maximum(steps, 1)), steps)
            scales = largest / np.where(steps > 0, steps, 127)
            scales[largest == 0] = scales.max()
            source = "recovered from the weights"
            weights.range = QuantParams(
                scales, np.zeros(len(scales), np.int64), place.axis, source=source
            )
    return found


def grid_steps(rows: np.ndarray) -> np.ndarray:
    """Per row of float weights [rows, n], the smallest k in [1, 127] for which every w * k / max|w|
    is within 1e-3 of an integer; 0 where there is none.
    """
    largest = np.abs(rows).max(axis=1, initial=0).astype(np.float64)
    unit = rows.astype(np.float64) / np.where(largest > 0, largest, 1)[:, None]
    steps = np.zeros(len(rows), np.int64)
    for k in range(1, 128):
        open_rows = np.flatnonzero(steps == 0)
        # A few elements rule most candidates out; only the rest is looked at whole.
        maybe = open_rows[_on_grid(unit[open_rows, :16], k)]
        steps[maybe[_on_grid(unit[maybe], k)]] = k
    return steps


def _on_grid(unit: np.ndarray, k: int) -> np.ndarray:
    scaled = unit * k
    return np.all(np.abs(scaled - np.round(scaled)) <= _TOLERANCE, axis=1)


def _signed(coded: Tensor) -> QuantParams:
    """The tensor's grid as int8 sees it."""
    quant = coded.grid
    shift = 128 if coded.dtype == "UINT8" else 0
    zeros = quant.zero_points - shift
    return QuantParams(
        quant.scale,
        zeros if quant.axis is not None else int(zeros[0]),
        quant.axis,
        8,
        "marker in the model",
    )


def _become(graph: Graph, subgraph: Subgraph, kept: Tensor, gone: Tensor) -> None:
    """`kept` takes the place of `gone`, and its name when it is part of the interface."""
    if gone in subgraph.outputs:
        kept.name, gone.name = gone.name, kept.name
        for signature in graph.signatures:
            for entry in signature.outputs or []:
                if entry.tensorIndex is gone:
                    entry.tensorIndex = kept
    subgraph.replace(gone, kept)


def _set_constant(result: Tensor, coded: Tensor, params: QuantParams) -> None:
    quant = coded.grid
    shape = [1] * len(coded.shape)
    if quant.axis is not None:
        shape[quant.axis] = -1
    steps = coded.values.astype(np.float64) - quant.zero_points.reshape(
        shape if quant.axis is not None else 1
    )
    scales = quant.scales.astype(np.float64).reshape(shape if quant.axis is not None else 1)
    result.data = (steps * scales).astype(np.float32).reshape(coded.shape)
    result.range = params
