"""Workers: several plain processes of this machine gather statistics together and give the same
bits as one.

A worker is a new Python that imports the calibration alone: no framework, nothing of the caller's
`__main__`. The parent reads the data, whatever its form, and sends each sample to a worker that has
room; replies come back over the same pipe. Because statistics merge exactly, it does not matter
which worker took which sample.
"""

import functools
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe, wait
from types import TracebackType
from typing import Any

import numpy as np

from int8x.calibration.gathering import Gathered, Job
from int8x.calibration.observer import Stats
from int8x.errors import Int8xError, WorkerError

# One sample is at work, the next one waits in the worker: it never idles, and memory stays flat.
_AT_ONCE = 2
# -c puts the working folder first, where any file may be called like a module.
_LIFE = (
    "import sys; sys.path = [p for p in sys.path if p]; "
    "from int8x.calibration import workers; workers.serve({})"
)
_LAST_WORDS = 2000  # characters of a dead worker's stderr that its error quotes


class Workers:
    """Gathered, spread over `count` processes; a context manager, which ends them.

    start: statistics to go on from. advance: called after each sample. Raises WorkerError naming a
    worker that died. Where several samples are refused, the error is that of the first one in the
    data, as in one process.
    """

    def __init__(self, count: int, job: Job, start: Stats | None, advance: Callable[[], None]):
        self._start, self._advance = start, advance
        self._failures: dict[int, Int8xError] = {}
        self._workers: list[_Worker] = []
        try:
            for number in range(count):
                self._workers.append(_Worker(f"worker {number} of {count}"))
            for worker in self._workers:
                worker.send(job)
        except BaseException:
            self._end(at_once=True)
            raise

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(at_once=kind is not None)

    def add(self, number: int, sample: list[np.ndarray]) -> None:
        """Hands sample `number` to a worker, when one has room. Raises DataError and ModelError as
        Gathered.add() does, perhaps some samples later.
        """
        while all(worker.busy >= _AT_ONCE for worker in self._workers):
            self._listen()
        if self._failures:
            self._drain()
        worker = min(self._workers, key=lambda worker: worker.busy)
        worker.send((number, sample))
        worker.busy += 1

    def stats(self) -> Stats:
        """The statistics of all samples that were added, which are finished first."""
        self._drain()
        for worker in self._workers:
            worker.send(None)
        parts = [worker.receive() for worker in self._workers]
        stats = [Stats.from_bytes(p, "a worker")[0] for p in parts if p is not None]
        return functools.reduce(
            Stats.merge, stats if self._start is None else [self._start, *stats]
        )

    def _drain(self) -> None:
        while any(worker.busy for worker in self._workers):
            self._listen()
        if self._failures:
            raise self._failures[min(self._failures)]

    def _listen(self) -> None:
        """Takes what the workers have to say; waits until one says something."""
        ready = wait([worker.connection for worker in self._workers if worker.busy])
        for worker in [worker for worker in self._workers if worker.connection in ready]:
            number, error = worker.receive()
            worker.busy -= 1
            if error is None:
                self._advance()
            else:
                self._failures[number] = error

    def _end(self, at_once: bool) -> None:
        for worker in self._workers:
            worker.end(at_once)


class _Worker:
    """One process and the pipe to it. busy: samples sent whose reply has not come."""

    def __init__(self, name: str):
        self.name, self.busy = name, 0
        self._said = tempfile.TemporaryFile()  # noqa: SIM115, closed by end()
        self.connection, theirs = Pipe()
        # Of a session of its own: Ctrl-C in the terminal is the parent's to handle.
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LIFE.format(theirs.fileno())],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()

    def send(self, what: Any) -> None:
        try:
            self.connection.send(what)
        except OSError:
            raise self._died() from None

    def receive(self) -> Any:
        try:
            return self.connection.recv()
        except (OSError, EOFError):
            raise self._died() from None

    def end(self, at_once: bool) -> None:
        self.connection.close()
        if at_once:
            self._process.kill()
        self._process.wait()
        self._said.close()

    def _died(self) -> WorkerError:
        status = self._process.wait()
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        self._said.seek(0)
        said = self._said.read().decode("utf-8", "replace").strip()[-_LAST_WORDS:]
        return WorkerError(
            f"{self.name} (process {self._process.pid}) {how}"
            + (f"; its last words: {said}" if said else "")
        )


def serve(descriptor: int) -> None:
    """A worker's life: takes a Job, then samples (number, arrays), each answered by (number, error
    or None), and None, answered by the bytes of the Stats, or None before any sample; ends when the
    pipe does.
    """
    connection = Connection(descriptor)
    inbox: queue.SimpleQueue = queue.SimpleQueue()
    # The next sample is read while the model runs, which holds no lock of Python's.
    threading.Thread(target=_read, args=(connection, inbox), daemon=True).start()
    job, gathered = inbox.get(), None
    while (message := inbox.get()) is not _END:
        if message is None:
            connection.send(None if gathered is None else gathered.stats().to_bytes())
            continue
        number, sample = message
        error = None
        try:
            gathered = gathered or Gathered(job, None, lambda: None)
            gathered.add(number, sample)
        except Int8xError as refusal:
            error = refusal
        connection.send((number, error))


_END = object()


def _read(connection: Connection, inbox: queue.SimpleQueue) -> None:
    try:
        while True:
            inbox.put(connection.recv())
    except (OSError, EOFError):
        inbox.put(_END)
