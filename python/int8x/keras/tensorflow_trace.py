"""The record of a run on TensorFlow: between the calls lie the graph's operators."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from int8x.keras import free_sizes, kinds
from int8x.keras.operator_kinds import SIZES, VIEWS, Inside, moved_from, needs_no_range, rectifies
from int8x.keras.trace import RAW, Call, Record, recording


@dataclass
class _Open:
    """A call that has begun; children tell a container, `first` is the graph's size then."""

    operation: Any
    turn: int
    inputs: list[tf.Tensor]
    first: int
    children: int = 0


@dataclass(frozen=True)
class _Done:
    operation: Any
    turn: int
    inputs: list[tf.Tensor]
    outputs: list[tf.Tensor]
    first: int
    last: int
    calls_others: bool = False  # then no operator is its own


def float_tensors(structure: Any) -> list[tf.Tensor]:
    """The floating tensors of a nested structure, in the order of `keras.tree.flatten`."""
    return [t for t in keras.tree.flatten(structure) if tf.is_tensor(t) and t.dtype.is_floating]


def record(model: keras.Model, struct: Any, whole: Set[int] = frozenset()) -> Record:
    """int8x.keras.trace.record() on TensorFlow: the run is a graph."""
    opened: list[_Open] = []
    done: list[_Done] = []
    turns: dict[int, int] = defaultdict(int)

    def recorder(operation: Any, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            here = tf.compat.v1.get_default_graph()
            tensors = float_tensors((args, kwargs))
            if here is not current[0] or any(_is_of_another(t, here) for t in tensors):
                raise ValueError(
                    f"{type(operation).__name__} {operation.name!r} runs inside a loop: "
                    "QATCallback trains layers that are called directly, not recurrent ones; "
                    f"exclude=({(opened[-1].operation if opened else operation).name!r},) leaves "
                    "them in float"
                )
            if opened:
                opened[-1].children += 1
            opened.append(
                _Open(operation, turns[id(operation)], tensors, len(here.get_operations()))
            )
            try:
                if free_sizes.needs_sizes(operation, args):
                    outputs = free_sizes.upsampled(operation, args[0])
                else:
                    outputs = original(*args, **kwargs)
            finally:
                frame = opened.pop()
            last = len(here.get_operations())
            turns[id(operation)] += 1
            done.append(
                _Done(
                    operation,
                    frame.turn,
                    tensors,
                    float_tensors(outputs),
                    last if frame.children else frame.first,
                    last,
                    frame.children > 0,
                )
            )
            return outputs

        return call

    current: list[Any] = [None]
    ends: list[list[tf.Tensor]] = []

    def run(x: Any) -> Any:
        current[0] = tf.compat.v1.get_default_graph()
        with keras.StatelessScope(collect_losses=True):
            y = model(x, training=False)
        ends.append(float_tensors(x))
        ends.append(float_tensors(y))
        return y

    spec = keras.tree.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), struct)
    with recording(model, whole, recorder):
        tf.function(run, autograph=False).get_concrete_function(spec)
    return _number(current[0], done, ends[0], ends[1])


def _number(
    graph: tf.Graph, done: list[_Done], inputs: list[tf.Tensor], outputs: list[tf.Tensor]
) -> Record:
    """Turns tensors into values and finds the raw operators between the calls."""
    result = Record()
    values: dict[Any, int] = {}
    rectified: dict[int, int] = {}  # values that a raw ReLU reads, and its result
    unranged: dict[int, str] = {}  # raw operators' results that raw operators read
    owner: dict[str, int] = {}
    owners: set[int] = set()  # layers that values are rounded at as they leave them
    operators, is_constant = graph.get_operations(), _constants(graph)
    for number, call in enumerate(done):
        for operator in operators[call.first : call.last]:
            owner[operator.name] = number

    def new_value(tensor: tf.Tensor, producer: int | None) -> int:
        value = values.setdefault(tensor.ref(), len(values))
        result.producer.setdefault(value, producer)
        result.shapes.setdefault(value, tuple(tensor.shape))
        return value

    def resolve(tensor: tf.Tensor) -> int:
        moved = False
        while (
            tensor.ref() not in values
            and tf.is_symbolic_tensor(tensor)
            and tensor.op.name not in owner
            and (source := moved_from(tensor.op)) is not None
        ):
            moved = moved or tensor.op.type == "Transpose" or tensor.op.type not in VIEWS
            tensor = source
        value = made_by(tensor)
        if moved:
            result.moved.add(value)
        return value

    def made_by(tensor: tf.Tensor) -> int:
        if tensor.ref() in values:
            return values[tensor.ref()]
        if not tf.is_symbolic_tensor(tensor):  # a constant of a Functional model's
            return new_value(tensor, RAW)
        for source in tensor.op.inputs:
            if source.dtype.is_floating and not is_constant(source):
                value = resolve(source)
                made = _behind_views(source)
                if result.producer[value] == RAW and not needs_no_range(made.op, tensor.op):
                    unranged.setdefault(value, _named(made))
                result.readers[value].append(RAW)
                if rectifies(tensor.op) and source.ref() in values:
                    rectified[value] = new_value(tensor, RAW)
        return new_value(tensor, RAW)

    def leave(number: int, call: _Done) -> None:
        """What operators between the calls of a layer made is rounded where it leaves that."""
        made = tuple(resolve(t) for t in call.outputs)
        for value in made:
            if result.producer[value] == RAW and {*result.readers[value]} <= {RAW}:
                result.producer[value] = number
                owners.add(id(call.operation))
        result.calls.append(Call(call.operation, call.turn, (), made, kinds.BOUNDARY))

    result.inputs = [new_value(t, None) for t in inputs]
    for number, call in enumerate(done):
        if call.calls_others:
            leave(number, call)
            continue
        seen = [resolve(t) for t in call.inputs]
        made = [
            values[t.ref()] if t.ref() in values else new_value(t, number) for t in call.outputs
        ]
        if (
            made != seen
        ):  # an identity (Dropout at inference) gives its very input: it reads nothing
            for value in seen:
                result.readers[value].append(number)
        inside = Inside(operators[call.first : call.last], call.inputs, call.outputs, is_constant)
        result.calls.append(
            Call(
                call.operation,
                call.turn,
                tuple(seen),
                tuple(made),
                inside.kind(),
                inside.normalizes_channels(),
            )
        )
    result.outputs = [resolve(t) for t in outputs]
    for value, relu in rectified.items():
        if result.readers[value] == [RAW] and value not in result.outputs:
            result.rectified[value] = relu
    result.raw = sorted({name for value, name in unranged.items() if not result.is_placed(value)})
    _drop(result, owners)
    return result


def _drop(record: Record, owners: set[int]) -> None:
    """Takes out the calls of layers that call others and make nothing beside them."""
    index: dict[int, int] = {}
    kept: list[Call] = []
    for number, call in enumerate(record.calls):
        if call.kind != kinds.BOUNDARY or id(call.operation) in owners:
            index[number] = len(kept)
            kept.append(call)
    record.calls = kept
    for value, producer in record.producer.items():
        if producer is not None and producer != RAW:
            record.producer[value] = index[producer]
    for value, readers in record.readers.items():
        record.readers[value] = [index.get(reader, RAW) for reader in readers]


def _is_of_another(tensor: tf.Tensor, graph: tf.Graph) -> bool:
    """Whether a tensor belongs to another graph than this; one with a value belongs to none."""
    return tf.is_symbolic_tensor(tensor) and tensor.graph is not graph


def _constants(graph: tf.Graph) -> Callable[[tf.Tensor], bool]:
    """Whether a tensor of the graph depends on no model input, only on constants and variables, or
    on sizes alone.
    """
    captured = {tensor.op.name for tensor in graph.internal_captures}
    known: dict[str, bool] = {}
    for operator in graph.get_operations():  # in the order of their making
        if operator.type == "Placeholder":
            known[operator.name] = operator.name in captured
        elif operator.type in SIZES:
            known[operator.name] = True
        else:
            known[operator.name] = all(known.get(t.op.name, True) for t in operator.inputs)

    def is_constant(tensor: tf.Tensor) -> bool:
        return not tf.is_symbolic_tensor(tensor) or known[tensor.op.name]

    return is_constant


def _behind_views(tensor: tf.Tensor) -> tf.Tensor:
    while (source := moved_from(tensor.op)) is not None:
        tensor = source
    return tensor


def _named(tensor: tf.Tensor) -> str:
    return f"{tensor.op.type} {tensor.op.name!r}"
