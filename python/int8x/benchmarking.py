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
from int8x.runtime import Interpreter, Model, load_runtime, open_interpreter

SCHEMA = "int8x-benchmark-1"
RUNNERS = ("int8x", "xnnpack", "stock", "reference")
_RESOLVERS = {"xnnpack": "default", "stock": "stock", "reference": "reference"}
_TURN_SECONDS = 0.005
_MOST_RUNS_IN_A_TURN = 64
# Worker threads of a peer may spin for a while after its last run; several threads wait until they
# sleep.
_PAUSE_SECONDS = 0.003

Progress = Callable[[str, int, int], None]


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

    int8x: the delegate; xnnpack: the runtime's default; stock: its own kernels; reference:
    BUILTIN_REF. `options` go to the delegate.
    """
    if runner not in RUNNERS:
        raise ValueError(f"runner must be one of {', '.join(RUNNERS)}; got {runner!r}")
    if runner == "int8x":
        interpreter: Any = Interpreter(model, num_threads, runtime, options)
    else:
        interpreter = open_interpreter(
            load_runtime(runtime), model, num_threads, _RESOLVERS[runner]
        )
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], random_input(detail["shape"], detail["dtype"]))
    return interpreter


def random_input(shape: Sequence[int], dtype: Any, seed: int = 0) -> np.ndarray:
    """Integers over the whole range of 8-bit types, floats in [0, 1), zeros for wider integers
    (they may be indices).
    """
    generator = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return generator.random(tuple(shape)).astype(dtype)
    if dtype.kind in "iu" and dtype.itemsize == 1:
        bounds = np.iinfo(dtype)
        return generator.integers(bounds.min, bounds.max + 1, tuple(shape), dtype=dtype)
    return np.zeros(tuple(shape), dtype)


def time_in_turn(
    runs: Mapping[str, Callable[[], Any]],
    rounds: int,
    pause: bool = False,
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """Nanoseconds of every timed run of each callable, `rounds` turns each, in an order of a fixed
    seed.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    repeats = {name: _repeats(run) for name, run in runs.items()}
    times: dict[str, list[int]] = {name: [] for name in runs}
    order, shuffler = list(runs), random.Random(0)
    for number in range(rounds):
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
        if progress:
            progress("", number + 1, rounds)
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
    progress: Progress | None = None,
) -> list[Row]:
    """Times `model` in each of `runners` in turn; one row per runner.

    rows = int8x.benchmarking.compare("model.int8.tflite", threads=2)
    """
    label = name or _label(model)
    opened = {
        runner: open_runner(model, runner, threads, runtime, options if runner == "int8x" else None)
        for runner in dict.fromkeys(runners)
    }
    named_progress = (lambda _, done, total: progress(label, done, total)) if progress else None
    times = time_in_turn(
        {runner: interpreter.invoke for runner, interpreter in opened.items()},
        rounds,
        threads > 1,
        named_progress,
    )
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
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(json.dumps(document(rows, command), indent=1) + "\n")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def table(rows: Sequence[Row]) -> Any:
    """A rich table: one line per model and thread count, medians in ms, and int8x's speed relative
    to each peer.
    """
    from rich.table import Table

    runners = [runner for runner in RUNNERS if any(row.runner == runner for row in rows)]
    peers = [runner for runner in runners if runner != "int8x"] if "int8x" in runners else []
    result = Table(title="median ms per inference")
    result.add_column("model")
    result.add_column("threads", justify="right")
    for runner in runners:
        result.add_column(runner, justify="right")
    for peer in peers:
        result.add_column(f"{peer}/int8x", justify="right")
    for model, threads in dict.fromkeys((row.model, row.threads) for row in rows):
        medians = {
            row.runner: row.median_ms
            for row in rows
            if (row.model, row.threads) == (model, threads)
        }
        cells = [f"{medians[runner]:.4g}" if runner in medians else "" for runner in runners]
        ratios = [ratio(rows, model, threads, peer) for peer in peers]
        result.add_row(model, str(threads), *cells, *(f"{r:.2f}" if r else "" for r in ratios))
    return result


def profile(model: Model, threads: int = 1, runs: int = 50, runtime: str = "auto") -> Any:
    """Runs the delegate with its step clock on; returns its claims, whose steps carry nanoseconds
    and runs.
    """
    interpreter = open_runner(model, "int8x", threads, runtime, {"profile": 1})
    for _ in range(runs):
        interpreter.invoke()
    return interpreter.claims


def profile_table(claims: Any) -> Any:
    """A rich table of the steps, the slowest first, with microseconds per run, share and GMAC/s."""
    from rich.table import Table

    result = Table(title=f"steps of the delegate, {claims.arch}, {claims.threads} threads")
    for column in ("node", "op", "kernel"):
        result.add_column(column)
    for column in ("us", "share", "GMAC/s"):
        result.add_column(column, justify="right")
    total = sum(step.nanoseconds / max(step.runs, 1) for step in claims.steps) or 1.0
    for step in sorted(claims.steps, key=lambda step: -step.nanoseconds / max(step.runs, 1)):
        nanoseconds = step.nanoseconds / max(step.runs, 1)
        speed = f"{step.macs / nanoseconds:.1f}" if step.macs and nanoseconds else ""
        result.add_row(
            str(step.node),
            step.op,
            step.kernel,
            f"{nanoseconds / 1e3:.2f}",
            f"{nanoseconds / total:.1%}",
            speed,
        )
    return result
