"""AdaRound: weights rounded up or down so that each layer's output, not each weight, is closest."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from int8x.data import Sample
from int8x.methods.draft import Draft
from int8x.methods.layers import Layer, activation, find_layers, split_activations
from int8x.methods.pieces import Walk
from int8x.methods.rounding import Task, learn
from int8x.methods.rounding_rows import (
    Shape,
    from_groups,
    input_rows,
    output_rows,
    positions,
    shape_of,
    to_groups,
)
from int8x.progress import Progress, silent
from int8x.runtime.coding import as_real
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph
from int8x.tflite.subgraph import Tensor

ROUNDED = "adaround"  # the source of the scales of weights that were rounded
_ITERATIONS = 1000
_REGULARIZER = 0.1
_ROWS = 4096
_LARGEST = 2**24  # elements of a layer's input rows
_LIMITS = {"INT8": 127, "INT4": 7}
_BOUNDS = {"NONE": (-np.inf, np.inf), "RELU": (0.0, np.inf), "RELU6": (0.0, 6.0)}


@dataclasses.dataclass(frozen=True, eq=False)
class _Work:
    """A layer to round: the positions chosen of each sample, the float outputs there, and the width
    of an output.
    """

    layer: Layer
    shape: Shape
    chosen: list[np.ndarray]
    wanted: list[np.ndarray]
    widths: list[int]


def learn_rounding(
    graph: Graph, draft: Draft, samples: Sequence[Sample], progress: Progress = silent
) -> Graph:
    """A prepared graph whose weights lie on their integer grids, rounded by AdaRound: quantizing it
    gives exactly these integers.

    Layer by layer in execution order, for what the quantized model feeds the layer and what the
    float model makes of it (asymmetric reconstruction, activation included). See rounding.learn for
    the objective. Layers whose weights other operators read too, or whose scales come from their
    own range already (quantization-aware training), stay as they are. Rows are chosen with a fixed
    seed: equal inputs give equal bytes.

    draft: quantizes on trial. Nagel et al. 2020 (arXiv:2004.10568).

    >>> rounded = learn_rounding(graph, draft, samples)
    """
    rounded = graph.copy()
    quantized = draft.quantized(rounded)
    layers = [layer for layer in find_layers(rounded, quantized) if _learnable(layer, rounded)]
    with progress("adaround", len(layers), 0) as advance:
        work = _float_rows(rounded, layers, samples)
        walk = Walk(quantized, samples)
        for item in work:
            walk.until(item.layer.coded)
            _round(item, walk, rounded)
            advance()
    rounded.compact()
    return rounded


def _learnable(layer: Layer, graph: Graph) -> bool:
    readers = [op for op in graph.main.operators if layer.weights in op.inputs]
    return (
        shape_of(layer.op) is not None
        and layer.weights.range is None
        and len(readers) == 1
        and activation(layer.op) in _BOUNDS
    )


def _float_rows(graph: Graph, layers: list[Layer], samples: Sequence[Sample]) -> list[_Work]:
    """One pass of the float model: the chosen rows of each layer's result before its activation."""
    split, places = split_activations(graph)
    runner, random = Runner(split.to_bytes(), split.origin, 1), np.random.default_rng(0)
    shapes = [(layer, shape_of(layer.op)) for layer in layers]
    work = [_Work(layer, shape, [], [], []) for layer, shape in shapes if shape is not None]
    for sample in samples:
        runner.run(sample)
        for item in work:
            output = runner.value(places[item.layer.name]).copy()
            shape, count = item.shape, positions(output)
            room = max(_LARGEST // (shape.groups * shape.terms), 1)
            rows = min(-(-min(_ROWS, room) // len(samples)), count)
            chosen = np.sort(random.choice(count, rows, replace=False))
            item.chosen.append(chosen)
            item.wanted.append(output_rows(output, chosen, shape))
            item.widths.append(output.shape[-2] if output.ndim > 1 else 1)
    return work


def _round(item: _Work, walk: Walk, graph: Graph) -> None:
    layer, shape = item.layer, item.shape
    kind, place = layer.op.kind, layer.place
    coded, quant = layer.coded_weights, layer.coded_weights.grid
    values = walk.value(layer.coded_data)
    inputs = [
        input_rows(layer, as_real(value, layer.coded_data.quant), chosen, width, shape)
        for value, chosen, width in zip(values, item.chosen, item.widths, strict=True)
    ]
    # Every fourth sample is not learned from.
    learned = np.concatenate(
        [np.full(x.shape[1], i % 4 != 3 or len(inputs) < 8) for i, x in enumerate(inputs)]
    )
    mixed = np.random.default_rng(1).permutation(np.flatnonzero(learned))
    order = np.concatenate([mixed, np.flatnonzero(~learned)])
    low, high = _BOUNDS[activation(layer.op)]
    scales = np.broadcast_to(quant.scales, layer.bias().shape)
    grouped = (shape.groups, shape.outputs)
    task = Task(
        np.concatenate(inputs, axis=1)[:, order],
        np.clip(np.concatenate(item.wanted, axis=1)[:, order], low, high),
        to_groups(layer.weights.values, kind, shape),
        np.ascontiguousarray(scales.reshape(*grouped, 1)),
        layer.coded_bias().reshape(shape.groups, 1, shape.outputs),
        low,
        high,
        _LIMITS[coded.dtype],
        len(mixed),
    )
    item.wanted.clear()
    steps = learn(task, _ITERATIONS, _REGULARIZER)
    integers = from_groups(steps, kind, layer.weights.shape).astype(np.int8)
    replaced = Tensor(coded.name, coded.shape, coded.dtype, quant=quant)
    replaced.buffer = packed(integers, coded.dtype)
    layer.coded.inputs[place.index] = replaced
    scale = scales.reshape([-1 if a == place.axis else 1 for a in range(integers.ndim)])
    made = graph.main.add_constant(layer.weights.name, (integers * scale).astype(np.float32))
    made.range = dataclasses.replace(quant, source=ROUNDED)
    layer.op.inputs[place.index] = made


def packed(integers: np.ndarray, dtype: str) -> np.ndarray:
    """The bytes of int8 values as a tensor of type INT8 or INT4 stores them."""
    flat = integers.reshape(-1).view(np.uint8)
    if dtype == "INT8":
        return flat
    nibbles = np.concatenate([flat & 15, np.zeros(flat.size % 2, np.uint8)])
    return (nibbles[::2] | (nibbles[1::2] << 4)).astype(np.uint8)
