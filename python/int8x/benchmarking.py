"""The one timing harness: the peers run in turn, in one process, on the same inputs.

Times drift on shared machines, so a figure means something only beside a peer's figure from the
same run. In every round each runner has one turn, in an order drawn anew: a run that only warms the
caches, then timed runs.
"""

import json
import os
import random
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from int8x import machine
from int8x.progress import Progress, silent
from int8x.runtime.claims import Claims
from int8x.runtime.interpreter import Interpreter, Model, load_runtime, open_interpreter
from int8x.tflite.graph import write_file

SCHEMA = "int8x-benchmark-1"
RUNNERS = ("int8x", "dense", "xnnpack", "stock", "reference")
_DELEGATED: dict[str, dict[str, Any]] = {"int8x": {}, "dense": {"sparse": "off"}}
_RESOLVERS = {"xnnpack": "default", "stock": "stock", "reference": "reference"}
_TURN_SECONDS = 0.005
_MOST_RUNS_IN_A_TURN = 64
# Worker threads of a peer may spin for a while after its last run; several threads wait until they
# sleep.
_PAUSE_SECONDS = 0.003


@dataclass(frozen=True)
class Row:
    """Times of one model in one runner, in milliseconds per inference; `runs` is how many were
    timed.
    """

    model: str
    runner: str
    threads: int
    median_ms: float
    p90_ms: float
    runs: int


def open_runner(
    model: Model,
    runner: str,
    num_threads: int = 1,
    runtime: str = "auto",
    options: Mapping[str, Any] | None = None,
) -> Any:
    """An interpreter of the kind `runner`, its inputs filled with random values of a fixed seed.

    int8x: the delegate; dense: the delegate with sparse=off; xnnpack: the runtime's default; stock:
    its own kernels; reference: BUILTIN_REF. `options` go to the delegate.
    """
    if runner not in RUNNERS:
        raise ValueError(f"runner must be one of {', '.join(RUNNERS)}; got {runner!r}")
    if runner in _DELEGATED:
        given = {**(options or {}), **_DELEGATED[runner]}
        interpreter: Any = Interpreter(model, num_threads, runtime, given)
    else:
        interpreter = open_interpreter(
            load_runtime(runtime), model, num_threads, _RESOLVERS[runner]
        )
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], random_input(detail["shape"], detail["dtype"]))
    return interpreter


def random_input(shape: Sequence[int], dtype: Any, seed: int = 0) -> np.ndarray:
    """Integers over the whole range of 8-bit and 16-bit types, floats in [0, 1), zeros for wider
    integers (they may be indices).
    """
    generator = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return generator.random(tuple(shape)).astype(dtype)
    if dtype.kind in "iu" and dtype.itemsize <= 2:
        bounds = np.iinfo(dtype)
        return generator.integers(bounds.min, bounds.max + 1, tuple(shape), dtype=dtype)
    return np.zeros(tuple(shape), dtype)


def time_in_turn(
    runs: Mapping[str, Callable[[], Any]],
    rounds: int,
    pause: bool = False,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, np.ndarray]:
    """Nanoseconds of every timed run of each callable, `rounds` turns each, in an order of a fixed
    seed. `advance` is called after each round.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    repeats = {name: _repeats(run) for name, run in runs.items()}
    times: dict[str, list[int]] = {name: [] for name in runs}
    order, shuffler = list(runs), random.Random(0)
    for _ in range(rounds):
        shuffler.shuffle(order)
        for name in order:
            if pause:
                time.sleep(_PAUSE_SECONDS)
            run, record = runs[name], times[name]
            run()
            for _ in range(repeats[name]):
                start = time.perf_counter_ns()
                run()
                record.append(time.perf_counter_ns() - start)
        advance()
    return {name: np.array(record) for name, record in times.items()}


def _repeats(run: Callable[[], Any]) -> int:
    """Warms up, and finds how many runs make a turn long enough to time."""
    run()
    start = time.perf_counter()
    count = 0
    while count < 3 or (count < 100 and time.perf_counter() - start < 0.02):
        run()
        count += 1
    seconds = (time.perf_counter() - start) / count
    return max(1, min(_MOST_RUNS_IN_A_TURN, round(_TURN_SECONDS / seconds)))


def compare(
    model: Model,
    runners: Iterable[str] = ("int8x", "xnnpack", "stock"),
    threads: int = 1,
    rounds: int = 30,
    name: str | None = None,
    runtime: str = "auto",
    options: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> list[Row]:
    """Times `model` in each of `runners` in turn; one row per runner.

    >>> rows = int8x.benchmarking.compare("model.int8.tflite", threads=2)
    """
    label = name or _label(model)
    opened = {
        runner: open_runner(
            model, runner, threads, runtime, options if runner in _DELEGATED else None
        )
        for runner in dict.fromkeys(runners)
    }
    invokes = {runner: interpreter.invoke for runner, interpreter in opened.items()}
    with progress(f"{label}, threads: {threads}", rounds, 0) as advance:
        times = time_in_turn(invokes, rounds, threads > 1, advance)
    return [
        Row(
            label,
            runner,
            threads,
            round(float(np.median(record)) / 1e6, 6),
            round(float(np.percentile(record, 90)) / 1e6, 6),
            len(record),
        )
        for runner, record in times.items()
    ]


def _label(model: Model) -> str:
    if isinstance(model, (str, os.PathLike)):
        return Path(model).name.removesuffix(".tflite")
    return "model"


def ratio(rows: Iterable[Row], model: str, threads: int, peer: str) -> float | None:
    """How many times as fast as `peer` int8x ran; None when one of the two was not timed."""
    found = {
        row.runner: row.median_ms for row in rows if (row.model, row.threads) == (model, threads)
    }
    if "int8x" not in found or peer not in found:
        return None
    return found[peer] / found["int8x"]


def document(rows: Iterable[Row], command: str | None = None) -> dict[str, Any]:
    """The form of every benchmark file: what ran, on what, by which command."""
    return {
        "schema": SCHEMA,
        "machine": machine.machine(),
        "versions": machine.versions(),
        "command": command
        if command is not None
        else shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "rows": [asdict(row) for row in rows],
    }


def save(path: str | os.PathLike[str], rows: Iterable[Row], command: str | None = None) -> None:
    """Writes `document` to `path`, whole or not at all."""
    text = json.dumps(document(rows, command), indent=1) + "\n"
    write_file(path, text.encode())


def profile(model: Model, threads: int = 1, runs: int = 50, runtime: str = "auto") -> Claims:
    """Runs the delegate with its step clock on; returns its claims, whose steps carry nanoseconds
    and runs.
    """
    interpreter = open_runner(model, "int8x", threads, runtime, {"profile": 1})
    for _ in range(runs):
        interpreter.invoke()
    return interpreter.claims
