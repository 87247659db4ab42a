"""Cross-layer equalization: evens out the channels of activations and weights without changing what
the model computes.
"""

from typing import Any

import numpy as np

from int8x.methods.channel_groups import Group, Groups
from int8x.methods.value_bounds import bounds_before_activation
from int8x.methods.weight_matrices import Matrix, channel_places, weight_matrix
from int8x.quantization.recipe import Recipe
from int8x.quantization.rules import RULES
from int8x.tflite.graph import Graph
from int8x.tflite.subgraph import Operator, Subgraph

_SWEEPS = 60
_EVEN = 0.3  # deviation of log(factor) below which a group's channels are as even as weights are
_SETTLED = 1e-3  # largest change of log(factor) in a sweep that is the last
_WIDEST = 2.0**12  # no factor beyond this, nor below its inverse
_RELU6_TOP = 6.0


def equalize(graph: Graph, recipe: Recipe | None = None) -> None:
    """Divides each channel i of an activation by s[i], and its readers' weights for that channel by
    1 / s[i], where nothing else can tell:

        w1[i, :] /= s[i],  bias1[i] /= s[i],  w2[:, i] *= s[i],  s[i] = sqrt(r1[i] / r2[i])

    with r1[i] the largest magnitude of the weights and bias that make channel i, and r2[i] that of
    the weights that read it; over all operators of a group (channel_groups), swept in turn until
    nothing moves, which gives sets of three around a depthwise convolution their cube roots.
    Groups whose log s deviates by less than 0.3 from its mean are even already and stay.
    Behind RELU6, which is not homogeneous, s[i] stays 1 unless the channel is known to stay below 6
    before and after, whatever the model reads. Zero weights stay zero.

    A pass of passes.PASSES; does nothing unless recipe.equalize is True. Nagel et al. 2019, section
    4.1 (arXiv:1906.04721).
    """
    if recipe is None or recipe.equalize is not True:
        return
    subgraph = graph.main
    groups = Groups(subgraph)
    free = groups.free()
    if not free:
        return
    operators = list(dict.fromkeys(op for g in free for op in [*g.writers, *g.readers]))
    matrices = {op: weight_matrix(op, np.abs, np.max) for op in operators}
    biases = {op: np.abs(_bias(op)) for op in operators}
    free = [g for g in free if np.log(_step(g, matrices, biases)).std() > _EVEN]
    limits = _limits(subgraph, free)
    factors = {group: np.ones(group.size) for group in free}
    for _ in range(_SWEEPS):
        moved = 0.0
        for group in free:
            step = _step(group, matrices, biases)
            lowest, highest = limits[group]
            total = np.clip(factors[group] * step, lowest, highest)
            step, factors[group] = total / factors[group], total
            for op in group.writers:
                matrix = matrices[op]
                matrix.entries /= np.resize(step, matrix.shape[0])[matrix.rows]
                biases[op] = biases[op] / np.resize(step, matrix.shape[0])
            for op in group.readers:
                matrix = matrices[op]
                matrix.entries *= np.resize(step, matrix.shape[1])[matrix.columns]
            moved = max(moved, float(np.abs(np.log(step)).max()))
        if moved < _SETTLED:
            break
    for op in dict.fromkeys(op for g in free for op in [*g.writers, *g.readers]):
        _rescale(subgraph, op, groups, factors)


def _step(
    group: Group, matrices: dict[Operator, Matrix], biases: dict[Operator, np.ndarray]
) -> np.ndarray:
    """sqrt(r1 / r2), 1 where a channel has no weights on one side."""
    made, read = np.zeros(group.size), np.zeros(group.size)
    for op in group.writers:
        reach = np.maximum(matrices[op].row_max(), biases[op])
        made = np.maximum(made, reach.reshape(-1, group.size).max(axis=0))
    for op in group.readers:
        read = np.maximum(read, matrices[op].column_max().reshape(-1, group.size).max(axis=0))
    known = (made > 0) & (read > 0)
    return np.sqrt(np.where(known, made, 1.0) / np.where(known, read, 1.0))


def _limits(subgraph: Subgraph, groups: list[Group]) -> dict[Group, tuple[Any, Any]]:
    """The lowest and highest factor of each channel of each group."""
    bounds: dict = {}
    limits: dict[Group, tuple[Any, Any]] = {}
    for group in groups:
        lowest = np.full(group.size, 1 / _WIDEST)
        highest = np.full(group.size, _WIDEST)
        if group.capped and not bounds:
            bounds = bounds_before_activation(subgraph)
        for tensor in group.capped:
            top = bounds[tensor][1].reshape(-1, group.size).max(axis=0)
            below = top <= _RELU6_TOP
            # top / s <= 6: RELU6 is RELU before and after.
            least = np.where(below, np.maximum(top, 0) / _RELU6_TOP, 1.0)
            lowest = np.maximum(lowest, least)
            highest = np.where(below, highest, 1.0)
        limits[group] = np.minimum(lowest, highest), highest
    return limits


def _rescale(
    subgraph: Subgraph, op: Operator, groups: Groups, factors: dict[Group, np.ndarray]
) -> None:
    """New constants for one operator: each weight rounded to float32 once."""
    place = RULES[op.kind].weights
    assert place is not None
    weights = op.inputs[place.index]
    rows, columns = channel_places(op)
    made = groups.of(op.outputs[0])
    read = groups.of(op.inputs[(RULES[op.kind].data or (0,))[0]])
    factor = np.ones(rows.shape)
    if read in factors:
        factor = factor * factors[read][columns % read.size]
    divisor = factors[made] if made in factors else np.ones(1)
    factor = factor / divisor[rows % len(divisor)]
    if weights.values.ndim == 4:
        factor = factor[:, None, None, :]
    scaled = (weights.values * factor).astype(np.float32)
    op.inputs[place.index] = subgraph.add_constant(weights.name, scaled)
    bias = op.input(place.bias)
    if bias is not None:
        divided = _bias(op) / np.resize(divisor, bias.size)
        op.inputs[place.bias] = subgraph.add_constant(bias.name, divided.astype(np.float32))


def _bias(op: Operator) -> np.ndarray:
    place = RULES[op.kind].weights
    assert place is not None
    bias = op.input(place.bias)
    if bias is None:
        return np.zeros(op.outputs[0].shape[-1])
    return bias.values.reshape(-1).astype(np.float64)
