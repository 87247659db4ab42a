"""An operator's weights seen as a matrix of output channels by input channels."""

from collections.abc import Callable

import numpy as np

from int8x.quantization.rules import RULES
from int8x.tflite.subgraph import Operator


class Matrix:
    """output channels x input channels, of which only `entries` are there: entry e joins output
    rows[e] to input columns[e].
    """

    def __init__(self, entries: np.ndarray, rows: np.ndarray, columns: np.ndarray, shape: tuple):
        self.entries, self.rows, self.columns, self.shape = entries, rows, columns, shape

    def dot(self, x: np.ndarray) -> np.ndarray:
        """For each output channel, the sum of entries times x."""
        return np.bincount(self.rows, self.entries * x[self.columns], self.shape[0])

    def row_max(self) -> np.ndarray:
        return _group_max(self.entries, self.rows, self.shape[0])

    def column_max(self) -> np.ndarray:
        return _group_max(self.entries, self.columns, self.shape[1])


def input_channels(op: Operator) -> int:
    """How many input channels the weights tell apart."""
    weights = _weights(op)
    if op.kind == "DEPTHWISE_CONV_2D":
        return int(op.inputs[0].shape[-1])
    return int(weights.shape[-1]) * _groups(op)


def weight_matrix(
    op: Operator, of_each: Callable[[np.ndarray], np.ndarray], reduce: Callable
) -> Matrix:
    """of_each(weights), reduced over the kernel's positions, float64."""
    rows, columns = channel_places(op)
    values = of_each(_weights(op).astype(np.float64))
    if values.ndim == 4:
        values = reduce(values, axis=(1, 2))
    shape = (int(op.outputs[0].shape[-1]), input_channels(op))
    return Matrix(values.reshape(-1), rows.reshape(-1), columns.reshape(-1), shape)


def channel_places(op: Operator) -> tuple[np.ndarray, np.ndarray]:
    """For each weight at one kernel position, in the order of the weights: its output channel and
    its input channel, int arrays of shape (outputs, inputs of a group), or (1, outputs) of a
    depthwise convolution.
    """
    weights = _weights(op)
    if op.kind == "DEPTHWISE_CONV_2D":
        outputs = np.arange(weights.shape[3])
        return outputs[None], (outputs // (weights.shape[3] // op.inputs[0].shape[-1]))[None]
    outputs, inputs = weights.shape[0], weights.shape[-1]
    rows = np.repeat(np.arange(outputs)[:, None], inputs, axis=1)
    first = np.arange(outputs) // max(outputs // _groups(op), 1) * inputs
    return rows, first[:, None] + np.arange(inputs)[None]


def _groups(op: Operator) -> int:
    if op.kind != "CONV_2D":
        return 1
    return max(int(op.inputs[0].shape[-1]) // int(_weights(op).shape[-1]), 1)


def _weights(op: Operator) -> np.ndarray:
    place = RULES[op.kind].weights
    assert place is not None
    return op.inputs[place.index].values


def _group_max(values: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
    found = np.zeros(count)
    np.maximum.at(found, places, values)
    return found
