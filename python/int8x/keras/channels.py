"""Which channels of a model belong together: what must go when one output channel goes.

Every channel of every tensor gets a number; layers that pass channels on keep the numbers, a
residual Add makes the numbers of its terms equal, a Flatten repeats them, a Concatenate strings
them together. A class of equal numbers is one channel of the net: rows of the kernels that make
it, columns of those that read it, entries of the normalizations between. Classes that reach the
model's ends, or an operation that is not known to keep zero at zero, are pinned; but a sigmoid
may make anything of a channel where the result only multiplies that channel (a gate).
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from int8x.keras import kinds, private
from int8x.keras.prunable import kernel_of
from int8x.keras.trace import RAW, Call, Record, record

_L = keras.layers
_ZERO_AT_ZERO = frozenset(
    {
        *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "swish"),
        *("tanh", "hard_tanh", "hard_swish", "hard_silu", "softsign", "mish"),
    }
)
_AWAY_FROM_ZERO = frozenset({"sigmoid", "hard_sigmoid", "softplus"})
_ELEMENTWISE = (_L.Activation, _L.ReLU, _L.LeakyReLU, _L.ELU, _L.Dropout)
_PASS = (
    *(_L.ReLU, _L.LeakyReLU, _L.ELU, _L.Dropout, _L.SpatialDropout1D, _L.SpatialDropout2D),
    *(_L.MaxPooling1D, _L.MaxPooling2D, _L.AveragePooling1D, _L.AveragePooling2D),
    *(_L.GlobalMaxPooling1D, _L.GlobalMaxPooling2D),
    *(_L.GlobalAveragePooling1D, _L.GlobalAveragePooling2D),
    *(_L.ZeroPadding1D, _L.ZeroPadding2D, _L.Cropping1D, _L.Cropping2D),
    *(_L.UpSampling1D, _L.UpSampling2D),
    *kinds.classes("AdaptiveMaxPooling1D AdaptiveMaxPooling2D"),
    *kinds.classes("AdaptiveAveragePooling1D AdaptiveAveragePooling2D"),
)
_JOIN = (_L.Add, _L.Subtract, _L.Multiply, _L.Maximum, _L.Minimum, _L.Average)
_JOIN_OPERATIONS = frozenset({"Add", "Subtract", "Multiply", "Maximum", "Minimum"})
_DEPTHWISE = (_L.DepthwiseConv1D, _L.DepthwiseConv2D)
_SEPARABLE = (_L.SeparableConv1D, _L.SeparableConv2D)


def channels_of(model: keras.Model) -> Channels:
    """The channels of a built model, instrumented or not; ValueError when its structure cannot be
    recorded.
    """
    from int8x.keras.handle import in_float

    struct = private.input_struct(model)
    if struct is None:
        raise ValueError(f"{model.name}: a built model was wanted, got one not called yet")
    with in_float(model):
        return Channels(record(model, struct))


class Channels:
    """The channel numbers of a built model's layers.

    `reads` and `makes` hold, by id of the layer, the numbers of its input and output channels;
    depthwise and normalization layers have `reads` alone.
    """

    activations: frozenset[str] = _ZERO_AT_ZERO
    gates: frozenset[str] = _AWAY_FROM_ZERO
    layers_passed: tuple[type, ...] = _PASS
    layers_reshaped: tuple[type, ...] = (_L.Reshape,)
    layers_joined: tuple[type, ...] = _JOIN
    operations_joined: frozenset[str] = _JOIN_OPERATIONS

    def __init__(self, taken: Record) -> None:
        self.layers: dict[int, Any] = {}
        self.reads: dict[int, np.ndarray] = {}
        self.makes: dict[int, np.ndarray] = {}
        self._parent: list[int] = []
        self._pinned: set[int] = set()
        self._ids: dict[int, np.ndarray] = {}
        self._open: set[int] = set()  # values that need not be zero where their channel is
        self._record = taken
        for value in self._record.inputs:
            self._pin(self._value(value))
        for call in self._record.calls:
            self._visit(call)
        for value, readers in self._record.readers.items():
            if RAW in readers or value in self._record.outputs:
                self._pin(self._value(value))
        for value in (*self._record.outputs, *self._record.moved):
            self._pin(self._value(value))

    def classes(self, numbers: np.ndarray) -> np.ndarray:
        """The class of each number."""
        return np.array([self._find(number) for number in numbers], int)

    def pinned(self, numbers: np.ndarray) -> np.ndarray:
        """Which of them may not go."""
        roots = {self._find(number) for number in self._pinned}
        return np.isin(self.classes(numbers), list(roots))

    def _find(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number

    def _unite(self, a: np.ndarray, b: np.ndarray) -> None:
        if len(a) != len(b):
            self._pin(a)
            self._pin(b)
            return
        for x, y in zip(a, b, strict=True):
            self._parent[self._find(x)] = self._find(y)

    def _fresh(self, count: int) -> np.ndarray:
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return np.arange(first, first + count)

    def _pin(self, numbers: np.ndarray) -> None:
        self._pinned.update(numbers.tolist())

    def _value(self, value: int) -> np.ndarray:
        """The numbers of a value's last axis; of one that nobody named, new and pinned."""
        if value not in self._ids:
            shape = self._record.shapes[value]
            self._ids[value] = self._fresh(shape[-1] or 1 if shape else 1)
            self._pin(self._ids[value])
        return self._ids[value]

    def _visit(self, call: Call) -> None:
        if not call.outputs or not call.inputs:
            return
        numbers = self._passed_on(call)
        self._follow_open(call)
        if numbers is None:
            for value in (*call.inputs, *call.outputs):
                self._pin(self._value(value))
            return
        for value in call.outputs:
            old = self._ids.get(value)
            if old is not None:  # the very input, or a view of it
                self._unite(old, numbers)
            self._ids[value] = numbers
            size = self._record.shapes[value]
            if size and size[-1] != len(numbers):
                self._pin(numbers)

    def _follow_open(self, call: Call) -> None:
        """What is not zero where its channel is may be changed by itself, and multiply what is."""
        operation, opened = call.operation, self._open.intersection(call.inputs)
        product = isinstance(operation, _L.Multiply) or kinds.is_operation(operation, "Multiply")
        if not opened or (product and len(opened) < len(set(call.inputs))):
            return
        single = len(call.inputs) == 1
        alone = isinstance(operation, (*_ELEMENTWISE, _L.Reshape)) or (
            single and not isinstance(operation, keras.Layer)
        )
        if alone:
            self._open.update(call.outputs)
        else:
            for value in opened:
                self._pin(self._value(value))

    def _opened(self, call: Call, numbers: np.ndarray) -> np.ndarray:
        """The numbers of a result that may be other than zero where its channel is zero."""
        self._open.update(call.outputs)
        return numbers

    def _activated(self, call: Call, numbers: np.ndarray) -> np.ndarray | None:
        """The numbers of what an operation's activation makes of theirs."""
        activation = kinds.activation_of(call.operation)
        if activation in self.gates:
            return self._opened(call, numbers)
        return numbers if activation in self.activations else None

    def _reshaped(self, call: Call, numbers: np.ndarray) -> np.ndarray | None:
        """The numbers behind a Reshape that leaves the last axis alone."""
        before, after = (self._record.shapes[value] for value in (call.inputs[0], call.outputs[0]))
        if not before or not after or before[-1] is None or before[-1] != after[-1]:
            return None
        self._note(call.operation, numbers)
        return numbers

    def _passed_on(self, call: Call) -> np.ndarray | None:
        """The numbers of the call's result, or None when nothing is known of them."""
        operation, sources = call.operation, [self._value(value) for value in call.inputs]
        name = type(operation).__name__
        if getattr(operation, "data_format", "channels_last") == "channels_first":
            return None
        if isinstance(operation, _L.EinsumDense):
            return None
        if isinstance(operation, keras.Layer) and kernel_of(operation) is not None:
            return self._kernel(call, sources[0])
        if isinstance(operation, _DEPTHWISE):
            self._note(operation, sources[0])
            return self._activated(call, np.repeat(sources[0], operation.depth_multiplier))
        if isinstance(operation, _L.BatchNormalization):
            last = operation.axis in (-1, len(self._record.shapes[call.inputs[0]]) - 1)
            self._note(operation, sources[0])
            return sources[0] if last else None
        known = kinds.activation_of(operation) in self.activations | self.gates
        if isinstance(operation, _L.Activation) or (
            known and not isinstance(operation, keras.Layer)
        ):
            return self._activated(call, sources[0])
        if isinstance(operation, self.layers_reshaped):
            return self._reshaped(call, sources[0])
        if isinstance(operation, _L.Flatten):
            sizes = [size or 0 for size in self._record.shapes[call.inputs[0]][1:-1]]
            return np.tile(sources[0], math.prod(sizes)) if all(sizes) else None
        if isinstance(operation, _L.Concatenate):
            last = operation.axis in (-1, len(self._record.shapes[call.inputs[0]]) - 1)
            return np.concatenate(sources) if last else None
        if isinstance(operation, self.layers_joined) or name in self.operations_joined:
            if len(sources) < 2:  # one side is a constant: zero does not stay zero
                return self._opened(call, sources[0]) if self.gates and _of_number(call) else None
            for other in sources[1:]:
                self._unite(sources[0], other)
            return sources[0] if len({len(part) for part in sources}) == 1 else None
        return sources[0] if isinstance(operation, self.layers_passed) else None

    def _kernel(self, call: Call, source: np.ndarray) -> np.ndarray | None:
        """A layer with a kernel makes new channels, the same at each of its calls."""
        layer = call.operation
        kernel = kernel_of(layer)
        assert kernel is not None
        self._note(layer, source)
        if id(layer) not in self.makes:
            self.makes[id(layer)] = self._fresh(kernel.channels[0])
        made = self.makes[id(layer)]
        if self._activated(call, made) is None:
            self._pin(made)
        multiplier = getattr(layer, "depth_multiplier", 1)
        if len(source) * multiplier != kernel.channels[1] or getattr(layer, "groups", 1) > 1:
            self._pin(source)
            self._pin(made)
        return made

    def _note(self, layer: Any, source: np.ndarray) -> None:
        self.layers[id(layer)] = layer
        if id(layer) in self.reads:
            self._unite(self.reads[id(layer)], source)
        else:
            self.reads[id(layer)] = source


def _of_number(call: Call) -> bool:
    """Whether what an operation has beside its one tensor is a single number."""
    constants = private.constants_of(call.operation)
    return bool(constants) and all(np.size(constant) == 1 for constant in constants)


def is_separable(layer: Any) -> bool:
    """Whether the layer has a depthwise and a pointwise kernel."""
    return isinstance(layer, _SEPARABLE)


def is_depthwise(layer: Any) -> bool:
    """Whether the layer has a depthwise kernel alone."""
    return isinstance(layer, _DEPTHWISE)
