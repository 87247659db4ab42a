"""Real profilers of TensorFlow Lite for a delegate to report to. No Python API sets one: here it is
put into the context, as Interpreter::SetProfiler does, where the delegate is offered a graph.
"""

import ctypes
from ctypes import CFUNCTYPE, c_char_p, c_int, c_int64, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from typing import Any

DELEGATE_OPERATOR = 1 << 3  # Profiler::EventType::DELEGATE_PROFILED_OPERATOR_INVOKE_EVENT

# Of TfLiteDelegate and TfLiteContext on 64-bit machines.
_PREPARE_OFFSET = 8
_PROFILER_OFFSET = 104

_PREPARE = CFUNCTYPE(c_int, c_void_p, c_void_p)
_UNUSED = CFUNCTYPE(c_uint32, c_void_p)
_ADD_EVENT = CFUNCTYPE(None, c_void_p, c_char_p, c_int, c_uint64, c_int64, c_int64)
# TFLite's name for the class of TfLiteContext.profiler.
_SUBGRAPH_PROFILER_VTABLE = "_ZTVN6tflite8Subgraph21SubgraphAwareProfilerE"


@dataclass(frozen=True)
class Event:
    """One run of one of a delegate's operators."""

    op: str
    node: int
    subgraph: int
    microseconds: int


def attach(delegate: Any, profiler: int) -> Any:
    """Sets `profiler` in the context of each graph that `delegate` is offered from now on. What is
    returned must live as long as the delegate.
    """
    prepare = c_void_p.from_address(delegate._get_native_delegate_pointer() + _PREPARE_OFFSET)
    original = _PREPARE(prepare.value)

    def with_profiler(context: int, offered: int) -> int:
        c_void_p.from_address(context + _PROFILER_OFFSET).value = profiler
        return original(context, offered)

    callback = _PREPARE(with_profiler)
    prepare.value = ctypes.cast(callback, c_void_p).value
    return callback


class SubgraphProfiler:
    """The object that Subgraph::SetProfiler makes, of the class in `library`, over a profiler that
    keeps what it is told of delegates' operators.

    class SubgraphAwareProfiler : Profiler { Profiler* profiler_; int64_t subgraph_index_; }
    """

    def __init__(self, library: str, subgraph: int) -> None:
        self._events: list[Event] = []
        self._kept = [_UNUSED(self._other), _ADD_EVENT(self._add)]
        other, add = (ctypes.cast(function, c_void_p).value for function in self._kept)
        self._vtable = (c_void_p * 7)(other, other, other, other, other, add, other)
        self._recorder = (c_void_p * 1)(ctypes.addressof(self._vtable))
        # Behind the offset to the top and the type information.
        vtable = c_void_p.in_dll(ctypes.CDLL(library), _SUBGRAPH_PROFILER_VTABLE)
        functions = ctypes.addressof(vtable) + 2 * ctypes.sizeof(c_void_p)
        self._object = (c_int64 * 3)(functions, ctypes.addressof(self._recorder), subgraph)

    @property
    def address(self) -> int:
        return ctypes.addressof(self._object)

    def operators(self) -> list[Event]:
        return list(self._events)

    def _other(self, _: int) -> int:
        return 0

    def _add(
        self, _: int, tag: bytes, kind: int, microseconds: int, node: int, subgraph: int
    ) -> None:
        if kind == DELEGATE_OPERATOR:
            self._events.append(Event(tag.decode(), node, subgraph, microseconds))
