"""The record of a run on JAX: tensors are known by themselves, one trace long.

Nothing lies between the calls but what Keras itself puts there, which hands tensors on as they are:
models whose own code computes (subclassed ones) are refused.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Set
from typing import Any

import jax
import keras

from int8x.keras import tensors
from int8x.keras.trace import Call, Record, recording


def record(model: keras.Model, struct: Any, whole: Set[int] = frozenset()) -> Record:
    """int8x.keras.trace.record() on JAX. ValueError for inputs of unknown size, and where an
    operation reads what no operation made.
    """
    numbering = _Numbering(model)
    depth = [0]

    def recorder(operation: Any, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            depth[-1] += 1
            depth.append(0)
            try:
                outputs = original(*args, **kwargs)
            finally:
                children = depth.pop()
            if not children:
                numbering.add(operation, _floats((args, kwargs)), _floats(outputs))
            return outputs

        return call

    def run(x: Any) -> Any:
        numbering.record.inputs = [numbering.new(t, None) for t in _floats(x)]
        with keras.StatelessScope(collect_losses=True):
            y = model(x, training=False)
        numbering.record.outputs = [numbering.known(t, "output") for t in _floats(y)]
        return y

    with recording(model, whole, recorder):
        jax.eval_shape(run, keras.tree.map_structure(lambda t: _sample(model, t), struct))
    return numbering.record


class _Numbering:
    """Turns the tensors of calls into the values of a record."""

    def __init__(self, model: keras.Model) -> None:
        self.model, self.record = model, Record()
        self._values: dict[int, int] = {}
        self._tensors: list[Any] = []  # keeps them, and with them their ids
        self._turns: dict[int, int] = defaultdict(int)

    def new(self, tensor: Any, producer: int | None) -> int:
        """The value of a tensor that is there from now on."""
        value = self._values.setdefault(id(tensor), len(self._values))
        self._tensors.append(tensor)
        self.record.producer.setdefault(value, producer)
        self.record.shapes.setdefault(value, (None, *tensor.shape[1:]))
        return value

    def known(self, tensor: Any, reader: str) -> int:
        """The value of a tensor that is there."""
        if id(tensor) not in self._values:
            raise ValueError(
                f"{self.model.name}: on the jax backend layers that read each other's results were "
                f"wanted, got code of the model's own before {reader!r}: use layers, or the "
                "tensorflow backend"
            )
        return self._values[id(tensor)]

    def add(self, operation: Any, inputs: list[Any], outputs: list[Any]) -> None:
        """One call of a leaf operation, the next in order."""
        record, number = self.record, len(self.record.calls)
        turn = self._turns[id(operation)]
        self._turns[id(operation)] += 1
        seen = [self.known(t, operation.name) for t in inputs]
        made = [self.new(t, number) for t in outputs]
        if (
            made != seen
        ):  # an identity (Dropout at inference) gives its very input: it reads nothing
            for value in seen:
                record.readers[value].append(number)
        record.calls.append(Call(operation, turn, tuple(seen), tuple(made)))


def _floats(structure: Any) -> list[Any]:
    return [t for t in keras.tree.flatten(structure) if tensors.is_float_tensor(t)]


def _sample(model: keras.Model, struct: Any) -> Any:
    if None in struct.shape[1:]:
        raise ValueError(
            f"{model.name}: on the jax backend inputs of known size were wanted, got {struct.shape}"
        )
    return jax.ShapeDtypeStruct((1, *struct.shape[1:]), struct.dtype)
