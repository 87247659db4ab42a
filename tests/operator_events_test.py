"""TFLite's own profilers are told of every operator that the delegate runs, beside XNNPACK's."""

import ctypes
import importlib.util
from pathlib import Path

import int8x
import pytest
from exactness import difference, reference_outputs, run
from int8x.runtime import claims
from int8x.runtime.interpreter import load_runtime, open_interpreter
from profilers import DELEGATE_OPERATOR, Event, SubgraphProfiler, attach
from write_cases import cases

RUNS = 3


def folder_of(package: str) -> Path:
    return Path(importlib.util.find_spec(package).origin).parent


class LiteRtEvent(ctypes.Structure):
    """ProfiledEventData of litert/c/litert_profiler_event.h."""

    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("event_type", ctypes.c_int),
        ("start_timestamp_us", ctypes.c_uint64),
        ("elapsed_time_us", ctypes.c_uint64),
        ("memory", ctypes.c_size_t * 6),
        ("event_metadata1", ctypes.c_uint64),
        ("event_metadata2", ctypes.c_uint64),
        ("event_source", ctypes.c_int),
    )


class LiteRtProfiler:
    """LiteRT's profiler, a tflite::Profiler that its C interface makes and reads."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(str(folder_of("ai_edge_litert") / "libLiteRt.so"))
        self._profiler = ctypes.c_void_p()
        assert self._library.LiteRtCreateProfiler(10000, ctypes.byref(self._profiler)) == 0
        assert self._library.LiteRtStartProfiler(self._profiler) == 0

    @property
    def address(self) -> int:
        return self._profiler.value

    def operators(self) -> list[Event]:
        """Of delegates; the rest of what the runtime tells it is left out."""
        count = ctypes.c_int()
        assert self._library.LiteRtGetNumProfilerEvents(self._profiler, ctypes.byref(count)) == 0
        events = (LiteRtEvent * count.value)()
        assert self._library.LiteRtGetProfilerEvents(self._profiler, count, events) == 0
        return [
            Event(e.tag.decode(), e.event_metadata1, e.event_metadata2, e.elapsed_time_us)
            for e in events
            if e.event_type == DELEGATE_OPERATOR
        ]

    def close(self) -> None:
        self._library.LiteRtDestroyProfiler(self._profiler)


@pytest.fixture
def litert():
    profiler = LiteRtProfiler()
    yield profiler
    profiler.close()


def a_graph():
    return next(case for case in cases() if case.operator == "graph")


def run_profiled(runtime_name: str, profiler: int, options: dict, resolver: str = "stock"):
    """Runs a graph RUNS times, exactly unless XNNPACK is there; what the delegate says of it."""
    runtime, case = load_runtime(runtime_name), a_graph()
    delegate = runtime.load_delegate(int8x.delegate_path(), options)
    kept = attach(delegate, profiler)
    interpreter = open_interpreter(runtime, case.model, 1, resolver, [delegate])
    feeds = [case.feeds[0]] * RUNS
    outputs = run(interpreter, feeds)
    if resolver == "stock":
        assert not difference(reference_outputs(case.model, feeds), outputs)
    told = claims.of_delegate(delegate, int8x.delegate_path())
    del interpreter, delegate, kept
    return told


def operators(steps) -> list[tuple[str, int]]:
    return [(step.op, step.node) for step in steps]


@pytest.mark.parametrize("threads", [1, 2])
def test_litert_s_profiler_has_each_step_of_each_run_by_operator_and_node(litert, threads):
    told = run_profiled("ai_edge_litert", litert.address, {"num_threads": threads})
    assert len(told.steps) > 3
    assert operators(litert.operators()) == operators(told.steps) * RUNS
    assert [step.runs for step in told.steps] == [RUNS] * len(told.steps)


def test_the_operators_of_int8x_and_xnnpack_stand_side_by_side(litert):
    told = run_profiled("ai_edge_litert", litert.address, {"allow_ops": "CONV_2D"}, "default")
    ours = [event for event in litert.operators() if event.op == "CONV_2D"]
    assert ours
    assert operators(ours) == operators(told.steps) * RUNS
    theirs = [event for event in litert.operators() if event.op != "CONV_2D"]
    assert theirs
    assert all("(N" in event.op for event in theirs)  # as XNNPACK names its own: "Mean (ND)"


def test_tensorflow_s_subgraph_profiler_hands_on_each_step_of_each_run():
    profiler = SubgraphProfiler(str(folder_of("tensorflow") / "libtensorflow_cc.so.2"), 7)
    told = run_profiled("tf.lite", profiler.address, {})
    events = profiler.operators()
    assert operators(events) == operators(told.steps) * RUNS
    assert {event.subgraph for event in events} == {7}
