"""calibrate: runs the prepared float model over samples, one at a time, and gathers exact
statistics of every activation.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from int8x.calibration.gathering import Gathered, Job, job_of, restored
from int8x.calibration.observer import Stats
from int8x.calibration.workers import Workers
from int8x.data import Samples, input_specs, take
from int8x.errors import WorkerError
from int8x.progress import Progress, silent
from int8x.quantization.passes import prepare
from int8x.quantization.recipe import Recipe, resolve
from int8x.tflite.graph import Graph, load, write_file

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
    workers: int = 1,
) -> Stats:
    """Statistics of every activation of `model` over `data`.

    model: a float .tflite (path, bytes or Graph); its prepared form (passes.prepare) is what runs,
    at batch 1.
    data: see int8x.data. recipe: what its passes and a moving average need; all else may be chosen
    afterwards. checkpoint: a file that keeps what was gathered, written every 30 seconds
    and on Ctrl-C, removed at the end; with resume=True its samples are not run again. progress: see
    int8x.progress. workers: processes of this machine that share the samples; any number gives the
    same bits, and an interrupted run may be resumed with another number. A model with state
    (variables) sees the samples in order, as one session: it takes one worker, no resume and no
    merge.
    Raises ModelError, DataError (naming sample and tensor for NaN), StatsError for a checkpoint of
    another model, WorkerError for a worker that died. Ctrl-C ends after the samples at hand, as
    KeyboardInterrupt.

    >>> stats = int8x.calibrate("float.tflite", "samples.npy", workers=4)
    >>> stats.save("stats.npz")
    """
    resolved = resolve(recipe)
    return calibrate_prepared(
        prepare(load(model), resolved),
        data,
        recipe=resolved,
        checkpoint=checkpoint,
        resume=resume,
        progress=progress,
        num_threads=num_threads,
        workers=workers,
    )


def calibrate_prepared(
    graph: Graph,
    data: Any,
    *,
    recipe: Recipe,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
    progress: Progress = silent,
    num_threads: int = 1,
    workers: int = 1,
) -> Stats:
    """As calibrate(), for a graph that passes.prepare has made."""
    if not isinstance(workers, int) or workers < 1:
        raise WorkerError(f"workers must be a whole number from 1 on, got {workers!r}")
    momentum = recipe.momentum if recipe.observes("moving_average") else None
    if momentum is not None and workers > 1:
        raise WorkerError(
            f"a moving average depends on the order of the samples: 1 worker is wanted, got "
            f"{workers}"
        )
    job = job_of(graph, num_threads, momentum)
    if job.ordered and workers > 1:
        raise WorkerError(
            f"{graph.origin}: the model keeps state from one sample to the next, so that the order "
            f"of the samples counts: 1 worker is wanted, got {workers}"
        )
    samples = Samples(data, input_specs(graph))
    start = None
    if resume and checkpoint is not None and Path(checkpoint).exists():
        start = restored(checkpoint, job)
    done = 0 if start is None else start.samples
    written = time.monotonic()
    with (
        progress("calibrating", samples.len_hint(), done) as advance,
        _interruptible() as interrupted,
        gatherer(workers, job, start, advance) as gathered,
    ):
        for number, sample in enumerate(take(samples, done), done):
            gathered.add(number, sample)
            if checkpoint is not None and (
                interrupted() or time.monotonic() - written > _CHECKPOINT_SECONDS
            ):
                write_file(checkpoint, gathered.stats().to_bytes())
                written = time.monotonic()
            if interrupted():
                raise KeyboardInterrupt
        stats = gathered.stats()
    if checkpoint is not None:
        Path(checkpoint).unlink(missing_ok=True)
    return stats


def gatherer(
    workers: int, job: Job, start: Stats | None, advance: Callable[[], None]
) -> contextlib.AbstractContextManager[Gathered | Workers]:
    """What gathers a job's statistics, in this process or in several."""
    if workers == 1:
        return contextlib.nullcontext(Gathered(job, start, advance))
    return Workers(workers, job, start, advance)


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
