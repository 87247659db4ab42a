"""Which channels of a model may change their scale, and which weights make and read each.

Where a channel passes through operations f with f(a x) = a f(x) for a > 0 alone, what makes it can
be divided by a number that what reads it is multiplied by. BatchNormalization ends such a stretch:
what it reads keeps its scale, gamma and beta make channels anew.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from int8x.keras import kinds, private
from int8x.keras.channels import Channels, is_depthwise, is_separable
from int8x.keras.layer_wrapper import LayerWrapper
from int8x.keras.masks import MaskConstraint
from int8x.keras.prunable import is_prunable, kernel_of
from int8x.keras.trace import Call, Record

_L = keras.layers
_DEVIATIONS = 3.0  # how far values behind a BatchNormalization reach


@dataclass
class Weight:
    """A variable whose entries along `row_axes` make the channels `rows`, numbers of classes, and
    along `column_axes` read those of `columns`; empty where it makes or reads none.

    A bias, or beta, is divided as the rows are. `reach` times a row's largest entry is taken for
    the largest value that it makes.
    """

    layer: Any
    variable: Any
    rows: np.ndarray
    columns: np.ndarray
    row_axes: tuple[int, ...]
    column_axes: tuple[int, ...]
    bias: Any = None
    reach: float = 1.0

    def variables(self) -> list[Any]:
        """The variable and the bias, if there is one."""
        return [v for v in (self.variable, self.bias) if v is not None]

    def placed(self, values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        """Values of channels, shaped to multiply the variable."""
        rank = len(self.variable.shape)
        axes = tuple(axis % rank for axis in axes)
        sizes = [size if axis in axes else 1 for axis, size in enumerate(self.variable.shape)]
        return values.reshape(sizes)


def scales_of(model: keras.Model, taken: Record, excluded: set[int]) -> Scales | None:
    """The scales of a recorded model; None for one whose training may compute what the recorded run
    does not show: kernels that it did not use, or that a wrapper of Keras holds.

    excluded: ids of layers whose inside was not looked at.
    """
    used = {id(call.operation) for call in taken.calls} | excluded
    for layer in private.all_layers(model):
        foreign = isinstance(layer, _L.Wrapper) and not isinstance(layer, LayerWrapper)
        if foreign or (is_prunable(layer) and id(layer) not in used):
            return None
    return Scales(taken)


class Scales(Channels):
    """The classes of channels that have one scale; `weights` are all that make or read them."""

    activations = frozenset({"linear", "relu", "leaky_relu"})
    layers_passed = tuple(kind for kind in Channels.layers_passed if kind not in (_L.ReLU, _L.ELU))
    gates = frozenset()
    layers_reshaped = ()
    layers_joined = (_L.Add, _L.Subtract, _L.Maximum, _L.Minimum, _L.Average)
    operations_joined = frozenset({"Add", "Subtract", "Maximum", "Minimum"})

    def __init__(self, taken: Record) -> None:
        self._inner: dict[int, np.ndarray] = {}  # between the two kernels of a layer
        super().__init__(taken)
        self.weights = [part for layer in self.layers.values() for part in self._weights(layer)]
        self._fix_tied([c.operation for c in taken.calls if c.kind != kinds.BOUNDARY])

    def free(self) -> set[int]:
        """The classes that may be scaled now: something makes them and something reads them, and
        of these weights each may be changed and has no constraint but a mask.
        """
        fixed = {self._find(number) for number in self._pinned}
        made: set[int] = set()
        read: set[int] = set()
        for weight in self.weights:
            rows = set(self.classes(weight.rows).tolist())
            columns = set(self.classes(weight.columns).tolist())
            made |= rows
            read |= columns
            if not _changeable(weight):
                fixed |= rows | columns
        return (made & read) - fixed

    def _passed_on(self, call: Call) -> np.ndarray | None:
        operation = call.operation
        if type(operation).__module__.partition(".")[0] != "keras":
            return None  # a class derived from one of Keras's may compute anything
        if getattr(operation, "activity_regularizer", None) is not None:
            return None  # the loss sees the scale
        if not isinstance(operation, (_L.BatchNormalization, _L.ReLU)) and not is_depthwise(
            operation
        ):
            return super()._passed_on(call)
        source = self._value(call.inputs[0])
        if isinstance(operation, _L.ReLU):
            homogeneous = operation.max_value is None and not operation.threshold
            return source if homogeneous else None
        if isinstance(operation, _L.BatchNormalization):
            last = len(self._record.shapes[call.inputs[0]]) - 1
            if operation.axis not in (-1, last) or not operation.scale:
                return None
            self._pin(source)
            self._note(operation, source)
            return self._made(operation, len(source))
        if operation.data_format == "channels_first":
            return None
        self._note(operation, source)
        made = self._made(operation, len(source) * operation.depth_multiplier)
        if kinds.activation_name(operation.activation) not in self.activations:
            self._pin(made)
        return made

    def _made(self, layer: Any, count: int) -> np.ndarray:
        if id(layer) not in self.makes:
            self.makes[id(layer)] = self._fresh(count)
        return self.makes[id(layer)]

    def _weights(self, layer: Any) -> list[Weight]:
        reads, makes = self.reads[id(layer)], self.makes.get(id(layer))
        if makes is None:
            return []
        none = np.zeros(0, int)
        if isinstance(layer, _L.BatchNormalization):
            beta = layer.beta if layer.center else None
            return [Weight(layer, layer.gamma, makes, none, (0,), (), beta, _DEVIATIONS)]
        bias = layer.bias if layer.use_bias else None
        if is_depthwise(layer):
            columns = np.repeat(reads, layer.depth_multiplier)
            return [Weight(layer, layer.kernel, makes, columns, (-2, -1), (-2, -1), bias)]
        kernel = kernel_of(layer)
        assert kernel is not None
        found = []
        if is_separable(layer):
            columns = np.repeat(reads, layer.depth_multiplier)
            reads = self._fresh(len(columns))
            depthwise = layer.depthwise_kernel
            found = [Weight(layer, depthwise, reads, columns, (-2, -1), (-2, -1))]
        if len(reads) != kernel.channels[1]:  # grouped, or not read by its last axis
            reads = none
            self._pin(makes)
        axes = (kernel.output_axis,), (kernel.input_axis,)
        return [*found, Weight(layer, kernel.variable, makes, reads, *axes, bias)]

    def _fix_tied(self, operations: list[Any]) -> None:
        """Variables that several layers hold stay as they are."""
        each = {id(operation): operation for operation in operations}.values()
        layers = [operation for operation in each if isinstance(operation, keras.Layer)]
        holders = Counter(id(v) for layer in layers for v in private.own_weights(layer))
        for weight in self.weights:
            if any(holders[id(variable)] > 1 for variable in weight.variables()):
                self._pin(weight.rows)
                self._pin(weight.columns)


def _changeable(weight: Weight) -> bool:
    for variable in weight.variables():
        constraint = variable.constraint
        if isinstance(constraint, MaskConstraint):
            constraint = constraint.inner
        if not variable.trainable or constraint is not None:
            return False
    return weight.layer.trainable
