"""calibrate: runs the prepared float model over samples, one at a time, and gathers exact
statistics of every activation.
"""

import contextlib
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from int8x import _native, interpreter
from int8x.data import Samples, input_specs, take
from int8x.errors import DataError, StatsError
from int8x.graph import Graph, load, write_file
from int8x.observer import Stats
from int8x.passes import prepare
from int8x.progress import Progress, silent
from int8x.tensor_stats import Accumulator

_CHECKPOINT_SECONDS = 30.0


def calibrate(
    model: str | os.PathLike | bytes | Graph,
    data: Any,
    *,
    recipe: Any = "int8",
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
    progress: Progress = silent,
    num_threads: int = 1,
) -> Stats:
    """Statistics of every activation of `model` over `data`.

    model: a float .tflite (path, bytes or Graph); its prepared form (passes.prepare) is what runs,
    at batch 1.
    data: see int8x.data. checkpoint: a file that keeps what was gathered, written every 30 seconds
    and on Ctrl-C, removed at the end; with resume=True its samples are not run again. progress: see
    int8x.progress.
    Raises ModelError, DataError (naming sample and tensor for NaN), StatsError for a checkpoint of
    another model. Ctrl-C ends after the sample at hand, as KeyboardInterrupt.

    >>> stats = int8x.calibrate("float.tflite", "samples.npy")
    >>> stats.save("stats.npz")
    """
    return calibrate_prepared(
        prepare(load(model), recipe),
        data,
        checkpoint=checkpoint,
        resume=resume,
        progress=progress,
        num_threads=num_threads,
    )


def calibrate_prepared(
    graph: Graph,
    data: Any,
    *,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
    progress: Progress = silent,
    num_threads: int = 1,
) -> Stats:
    """As calibrate(), for a graph that passes.prepare has made."""
    fingerprint = graph.fingerprint()
    samples = Samples(data, input_specs(graph))
    gathered = _Gathered(graph, fingerprint)
    if resume and checkpoint is not None and Path(checkpoint).exists():
        gathered.restore(Stats.load(checkpoint), checkpoint)
    runner = interpreter.Runner(graph.to_bytes(), graph.origin, num_threads)
    written = time.monotonic()
    with (
        progress("calibrating", samples.len_hint(), gathered.samples) as advance,
        _interruptible() as interrupted,
    ):
        for sample in take(samples, gathered.samples):
            runner.run(sample)
            gathered.add(runner.value)
            advance()
            if checkpoint is not None and (
                interrupted() or time.monotonic() - written > _CHECKPOINT_SECONDS
            ):
                write_file(checkpoint, gathered.stats().to_bytes())
                written = time.monotonic()
            if interrupted():
                raise KeyboardInterrupt
    if checkpoint is not None:
        Path(checkpoint).unlink(missing_ok=True)
    return gathered.stats()


def environment() -> str:
    """What may change the last bits of a float model's activations: interpreter, machine,
    instruction sets.
    """
    return f"{interpreter.version()}; {platform.machine()}; {' '.join(_native.cpu_features())}"


class _Gathered:
    """The statistics so far of each float activation of the first subgraph."""

    def __init__(self, graph: Graph, fingerprint: str):
        self.fingerprint, self.samples = fingerprint, 0
        self.environment = {environment()}
        # A result that nobody reads may have no memory: runtimes leave its computation out.
        read = {t for op in graph.main.operators for t in op.inputs} | set(graph.main.outputs)
        written = {t for op in graph.main.operators for t in op.outputs} | set(graph.main.inputs)
        self.tensors = {
            t.name: (i, Accumulator())
            for i, t in enumerate(graph.main.tensors)
            if t.is_float and t in written & read
        }

    def restore(self, stats: Stats, path: str | os.PathLike) -> None:
        if stats.fingerprint != self.fingerprint:
            raise StatsError(
                f"{path}: these samples were gathered from another model; remove the file or "
                "leave out --resume"
            )
        self.samples = stats.samples
        self.environment |= set(stats.environment)
        self.tensors = {
            name: (index, Accumulator(stats.tensors.get(name)))
            for name, (index, _) in self.tensors.items()
        }

    def add(self, value: Callable[[int], Any]) -> None:
        for name, (index, accumulator) in self.tensors.items():
            if accumulator.add(value(index)):
                raise DataError(f"sample {self.samples}: tensor {name!r} holds NaN or infinities")
        self.samples += 1

    def stats(self) -> Stats:
        tensors = {
            name: accumulator.stats for name, (_, accumulator) in sorted(self.tensors.items())
        }
        return Stats(tensors, self.fingerprint, self.samples, tuple(sorted(self.environment)))


@contextlib.contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Inside, the first Ctrl-C is only noted, so that no sample is counted by halves; a second one
    acts at once.
    """
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return

    def note(number: int, frame: Any) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
