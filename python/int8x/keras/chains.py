"""Layers that are a chain of operators in TFLite, whose tensors between are rounded too.

LayerNormalization is MEAN, SUB, MUL, MEAN, ADD, RSQRT, MUL and a depthwise convolution that holds
gamma and beta; RMSNormalization the same without the first two, GroupNormalization between two
RESHAPEs. Attention between its projections is MUL, BATCH_MATMUL, SOFTMAX, BATCH_MATMUL.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from int8x.keras import activations, kinds, private
from int8x.keras.activations import Grid
from int8x.keras.tensors import Tensor
from int8x.quantization.attention_masks import room

if TYPE_CHECKING:
    from int8x.keras.forward import Forward
    from int8x.keras.plan import CallPlan, Site

_BELOW = -4e4  # every score, and a float16
_CENTERED = ("mean", "centered")
_NORMALIZED = ("squares", "variance", "moved", "root", "normalized")


def tensors(operation: Any, kind: str, bits: int) -> dict[str, Grid | None]:
    """The tensors inside an operation that is a chain or ends in one, in order, with the grid of
    those that have the same whatever is seen; none for others.
    """
    if kind == kinds.LAYER_NORM:
        names = _NORMALIZED if _is_rms(operation) else _CENTERED + _NORMALIZED
        return dict.fromkeys(names)
    if kind == kinds.ATTENTION:
        return {"scores": None, "probabilities": kinds.FIXED_GRIDS[bits]["softmax"]}
    if kind in (kinds.UNKNOWN, kinds.BOUNDARY):
        return {}
    return activations.tensors(kinds.activation_of(operation), bits)


def _is_rms(layer: Any) -> bool:
    centered = (keras.layers.LayerNormalization, keras.layers.GroupNormalization)
    return not isinstance(layer, centered)


def _is_of_groups(layer: Any) -> bool:
    return isinstance(layer, keras.layers.GroupNormalization)


def _sizes(x: Tensor) -> list[Any]:
    """The sizes of x, numbers where they are known."""
    return [known or ops.shape(x)[axis] for axis, known in enumerate(x.shape)]


def _grouped(layer: Any, x: Tensor) -> Tensor:
    """x, for GroupNormalization as [batch, places, groups, channels of a group]."""
    if not _is_of_groups(layer):
        return x
    batch, *places, channels = _sizes(x)
    return ops.reshape(x, (batch, math.prod(places), layer.groups, channels // layer.groups))


def normalized(forward: Forward, plan: CallPlan, x: Tensor) -> Tensor:
    """x over its deviation, times gamma, plus beta, where each operator's result is rounded."""
    layer, sites, source = plan.operation, plan.inside, plan.sources[0]
    wide = _grouped(layer, ops.cast(x, "float32"))
    if "mean" in sites:
        mean = forward.round(sites["mean"], _mean(forward, plan, wide, source, "mean"))
        wide = forward.round(sites["centered"], wide - mean)
        source = sites["centered"].group
    squares = _product(forward, plan, wide * wide, source, source, "squares")
    squares = forward.round(sites["squares"], squares)
    variance = _mean(forward, plan, squares, sites["squares"].group, "variance")
    variance = forward.round(sites["variance"], variance)
    moved = forward.round(sites["moved"], variance + layer.epsilon)
    root = _root(forward, plan, moved)
    y = _product(forward, plan, wide * root, source, sites["root"].group, "normalized")
    y = forward.round(sites["normalized"], y)
    if _is_of_groups(layer):
        y = ops.reshape(y, _sizes(x))
    y = forward.scaled(plan, y, *_gain(layer), sites["normalized"].group)
    return ops.cast(y, x.dtype)


def _mean(forward: Forward, plan: CallPlan, x: Tensor, source: int | None, name: str) -> Tensor:
    """The mean of what is normalized together: tensor `name`, as its operator rounds it first."""
    axes = (1, 3) if _is_of_groups(plan.operation) else (len(x.shape) - 1,)
    y = ops.mean(x, axis=axes, keepdims=True)
    sizes = [x.shape[axis] for axis in axes]
    if source is None or None in sizes or not forward.sees_products(plan):
        return y
    return forward.accumulators.mean(y, source, plan.inside[name].group, math.prod(sizes))


def _product(
    forward: Forward, plan: CallPlan, y: Tensor, one: int | None, two: int | None, name: str
) -> Tensor:
    """The product y of tensors of two groups, tensor `name`, as its operator rounds it first."""
    if one is None or two is None or not forward.sees_products(plan):
        return y
    return forward.accumulators.product(y, one, two, plan.inside[name].group)


def _root(forward: Forward, plan: CallPlan, x: Tensor) -> Tensor:
    """1 / sqrt(x) of a rounded x. Where a row's numbers are all alike x can be zero: TFLite makes
    the greatest of it that the result's grid has, whose range is of what the least step gives.
    """
    site = plan.inside["root"]
    if forward.exporting:
        return forward.round(site, ops.rsqrt(x))
    step, _, _, seen = forward.grid(plan.inside["moved"])
    least = ops.where(seen > 0.0, step, plan.operation.epsilon)
    root = ops.rsqrt(ops.maximum(x, least))
    if forward.inferring:
        _, _, most, seen = forward.grid(site)
        root = ops.where((x < least) & (seen > 0.0), most, root)
    return forward.round(site, root)


def _gain(layer: Any) -> tuple[Tensor, Tensor]:
    """The factors and offsets of channels."""
    names = ("scale", None) if _is_rms(layer) else ("gamma", "beta")
    factor, offset = (None if name is None else getattr(layer, name) for name in names)
    factor = ops.ones((1,)) if factor is None else private.master_value(factor)
    offset = ops.zeros_like(factor) if offset is None else private.master_value(offset)
    return factor, offset


def attended(
    forward: Forward,
    plan: CallPlan,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any = None,
    training: Any = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> tuple[Tensor, Tensor]:
    """What the values [batch, positions, heads, size] are at each query, and the probabilities
    [batch, heads, queries, positions]; arguments as Keras's method takes them.
    """
    del return_attention_scores  # they are always there
    core, sites, (of_query, of_key, of_value) = plan.operation, plan.inside, plan.sources[:3]
    by_head = (0, 2, 1, 3)
    query = forward.multiplied(query, core.factor, of_query)
    query, key, value = (ops.transpose(x, by_head) for x in (query, key, value))
    mask = _mask(query, key, attention_mask, use_causal_mask)
    site = sites["scores"]
    if mask is not None:
        site = replace(site, room=room(forward.bits, key.shape[2] or 1))
    scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
    if forward.sees_products(plan):
        how = {"factor": core.factor, "room": site.room}
        scores = forward.accumulators.product(scores, of_query, of_key, site.group, **how)
    scores = _masked(forward, site, forward.round(site, scores), mask)
    scores = ops.softmax(ops.cast(scores, "float32"), axis=-1)
    scores = kept = forward.round(sites["probabilities"], ops.cast(scores, query.dtype))
    dropout = getattr(core.layer, "_dropout_layer", None)
    if dropout is not None and dropout.rate:
        kept = dropout(scores, training=training)
    y, site = ops.matmul(kept, value), plan.outputs[0]
    if forward.sees_products(plan):
        of_scores = sites["probabilities"].group
        y = forward.accumulators.product(y, of_scores, of_value, site.group)
    return ops.transpose(forward.round(site, y), by_head), scores


def _mask(query: Tensor, key: Tensor, mask: Any, causal: bool) -> Any:
    """True where a score counts, to be broadcast to [batch, heads, queries, positions]; or None.
    What no input changes is an array of numpy's.
    """
    if mask is not None:
        mask = ops.cast(mask, "bool")
        for _ in range(4 - len(mask.shape)):
            mask = ops.expand_dims(mask, axis=-3)
    if not causal:
        return mask
    sizes = query.shape[2], key.shape[2]
    if None in sizes:
        rows, columns = (ops.arange(ops.shape(x)[2]) for x in (query, key))
        before = ops.expand_dims(rows, 1) >= ops.expand_dims(columns, 0)
    else:
        before = np.tri(*sizes, dtype=bool)
    return before if mask is None else ops.logical_and(mask, before)


def _masked(forward: Forward, site: Site, scores: Tensor, mask: Any) -> Tensor:
    """Rounded scores, what is masked at the low end of their grid, which has room below them:
    SOFTMAX makes next to nothing of it.
    """
    if mask is None:
        return scores
    _, least, most, seen = forward.grid(site)
    if forward.exporting and isinstance(mask, np.ndarray):  # the delegate has MINIMUM
        y = ops.minimum(scores, ops.where(mask, most, least))
    else:
        least = ops.cast(ops.where(seen > 0.0, least, _BELOW), scores.dtype)
        y = ops.where(mask, scores, least)
    return y if forward.run.training else forward.round(site, y)
