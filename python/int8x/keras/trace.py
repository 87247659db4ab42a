"""One recorded run of a model: which operation was called with which symbolic tensors.

The record is the topology that the plan works on, the same for Sequential, Functional, nested,
shared-layer and subclassed models. It names tensors by small integers ("values"). Operators that
only view or move their input (a reshape, a slice between two layers) do not make a new value: what
they give lies on the same grid.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any

import keras

from int8x.keras import private
from int8x.keras.attention import core_of

RAW = -1  # stands for "a TensorFlow operator outside every layer" where a call's number is expected


@dataclass(frozen=True)
class Call:
    """One call of a leaf operation, the `turn`-th in a run; inputs and outputs are values.

    `kind`, of int8x.keras.kinds: what TensorFlow's operators say that it is; None where they do not
    or several of them round. `normalizes`: it is TensorFlow's `l2_normalize` of channels.
    """

    operation: Any
    turn: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    kind: str | None = None
    normalizes: bool = False


@dataclass
class Record:
    """A run: calls in order, the model's inputs and outputs, who made each value and who reads it.

    `producer[value]` is a call's number, None for a model input, RAW for a raw operator;
    `readers[value]` the calls' numbers. `raw` names raw operators whose result only another raw
    operator reads, and has no grid that follows: nothing can be hooked there. `shapes[value]` has
    None for unknown sizes. `moved` are values that somebody reads transposed, cut or repeated,
    `rectified` has the results of raw ReLUs by the values that these alone read.
    """

    calls: list[Call] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    producer: dict[int, int | None] = field(default_factory=dict)
    readers: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    raw: list[str] = field(default_factory=list)
    moved: set[int] = field(default_factory=set)
    rectified: dict[int, int] = field(default_factory=dict)
    shapes: dict[int, tuple[int | None, ...]] = field(default_factory=dict)

    def is_placed(self, value: int) -> bool:
        """Whether there is a place where a value is rounded: a call makes or reads it, or it leaves
        the model.
        """
        read = any(reader != RAW for reader in self.readers[value])
        return read or self.producer[value] != RAW or value in self.outputs


def record(model: keras.Model, struct: Any, whole: Set[int] = frozenset()) -> Record:
    """Runs the model once symbolically, training=False, on inputs like `struct`; what was called.

    Nothing is executed and nothing is changed, except that an unbuilt model is built. whole: ids of
    layers whose inside is not looked at. ValueError names a layer that runs others inside a loop
    (recurrent layers), which cannot be given ranges.
    """
    if keras.backend.backend() == "jax":
        from int8x.keras import jax_trace

        return jax_trace.record(model, struct, whole)
    from int8x.keras import tensorflow_trace

    return tensorflow_trace.record(model, struct, whole)


@contextlib.contextmanager
def recording(
    model: keras.Model, whole: Set[int], recorder: Callable[[Any, Callable[..., Any]], Any]
) -> Iterator[None]:
    """Within, `recorder(operation, its call)` stands for the call of each operation of the model
    that is not inside one of `whole`.
    """
    operations = [
        operation
        for operation in private.all_operations(model)
        if not (isinstance(operation, keras.layers.InputLayer) or private.is_graph(operation))
    ]
    inside = {
        id(inner)
        for operation in operations
        if id(operation) in whole
        for inner in private.all_layers(operation)
    }
    cores = [core_of(operation) for operation in operations if id(operation) not in whole | inside]
    for core in filter(None, cores):
        operations.append(core)
        inside |= {id(layer) for layer in core.inner_layers}
    patched: list[tuple[Any, Any]] = []
    try:
        for operation in operations:
            if id(operation) not in inside:
                before = operation.call if private.is_patched(operation) else None
                private.patch_call(operation, recorder(operation, operation.call))
                patched.append((operation, before))
        yield
    finally:
        for operation, before in patched:
            private.restore_call(operation)
            if before is not None:  # an instrument's
                private.patch_call(operation, before)
