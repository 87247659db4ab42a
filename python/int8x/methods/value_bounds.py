"""Bounds that hold for an activation whatever the model reads: interval arithmetic, per channel."""

import numpy as np

from int8x.methods.layers import activation
from int8x.methods.weight_matrices import input_channels, weight_matrix
from int8x.quantization.rules import RULES
from int8x.tflite.subgraph import Operator, Subgraph, Tensor

Bounds = tuple[np.ndarray, np.ndarray]  # lowest and highest of each last-axis channel, float64

_CLIPS = {
    "RELU": (0.0, np.inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "TANH": (-1.0, 1.0),
    "LOGISTIC": (0.0, 1.0),
    "SOFTMAX": (0.0, 1.0),
}
_SAME = ("MAX_POOL_2D", "AVERAGE_POOL_2D", "PAD", "MIRROR_PAD", "RESIZE_NEAREST_NEIGHBOR")
_ROUNDING = 2.0**-23  # of each term of a float32 sum


def bounds_before_activation(subgraph: Subgraph) -> dict[Tensor, Bounds]:
    """For each float activation, bounds of what its operator computes before the activation, fused
    or its own; infinite where nothing is known.
    """
    before: dict[Tensor, Bounds] = {}
    after: dict[Tensor, Bounds] = {}
    for op in subgraph.operators:
        for tensor in op.outputs:
            if tensor.is_float:
                before[tensor] = _result(op, tensor, after)
                kind = op.kind if op.kind in _CLIPS else activation(op)
                low, high = _CLIPS.get(kind, (-np.inf, np.inf))
                after[tensor] = tuple(np.clip(side, low, high) for side in before[tensor])  # type: ignore[assignment]
    return before


def _result(op: Operator, output: Tensor, known: dict[Tensor, Bounds]) -> Bounds:
    rule, channels = RULES.get(op.kind), max(output.shape[-1], 1) if output.shape else 1
    nothing = np.full(channels, -np.inf), np.full(channels, np.inf)
    data = op.input(rule.data[0]) if rule is not None and rule.data else op.input(0)
    if data is None or data not in known:
        return nothing
    if rule is not None and rule.weights is not None:
        place = rule.weights
        weights, bias = op.input(place.index), op.input(place.bias)
        constants = [t for t in (weights, bias) if t is not None]
        if weights is None or not all(t.is_constant and t.is_float for t in constants):
            return nothing
        return _weighted(op, known[data], bias)
    if (op.kind in _CLIPS or op.kind in _SAME) and len(known[data][0]) == channels:
        low, high = known[data]
        return np.minimum(low, 0), np.maximum(high, 0)
    return nothing


def _weighted(op: Operator, data: Bounds, bias: Tensor | None) -> Bounds:
    """Each product at its lowest and highest; padding adds the value zero."""
    channels = input_channels(op)
    low, high = (np.resize(side, channels) for side in data)
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    units = op.outputs[0].shape[-1]
    if not (np.all(np.isfinite(low)) and np.all(np.isfinite(high))):
        return np.full(units, -np.inf), np.full(units, np.inf)
    rising = weight_matrix(op, lambda w: np.maximum(w, 0), np.sum)
    falling = weight_matrix(op, lambda w: np.maximum(-w, 0), np.sum)
    start = np.zeros(units) if bias is None else bias.values.reshape(-1).astype(np.float64)
    top = rising.dot(high) - falling.dot(low)
    bottom = rising.dot(low) - falling.dot(high)
    largest, terms = np.maximum(high, -low), op.inputs[1].size / max(len(start), 1) + 1
    margin = _ROUNDING * terms * (rising.dot(largest) + falling.dot(largest) + np.abs(start))
    return bottom - margin + start, top + margin + start
