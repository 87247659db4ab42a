"""Gathered: runs a prepared float model sample by sample in this process and keeps the exact
statistics of its activations.
"""

import dataclasses
import os
import platform
from collections.abc import Callable

import numpy as np

from int8x import _native
from int8x.calibration.observer import Stats
from int8x.calibration.tensor_stats import Accumulator
from int8x.errors import DataError, StatsError
from int8x.runtime import runner
from int8x.tflite.graph import Graph

_STATE = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")


@dataclasses.dataclass(frozen=True)
class Job:
    """What a process needs to gather: plain values, so that they can be sent to another.

    model: bytes of the prepared .tflite; origin: what errors call it. tensors: name and index of
    each float activation. momentum: of the moving average to keep beside, if any. ordered: whether
    the model keeps state from one sample to the next.
    """

    model: bytes
    origin: str
    fingerprint: str
    tensors: tuple[tuple[str, int], ...]
    num_threads: int = 1
    momentum: float | None = None
    ordered: bool = False


def job_of(graph: Graph, num_threads: int = 1, momentum: float | None = None) -> Job:
    """The job of calibrating a prepared graph's first subgraph."""
    # A result that nobody reads may have no memory: runtimes leave its computation out.
    read = {t for op in graph.main.operators for t in op.inputs} | set(graph.main.outputs)
    written = {t for op in graph.main.operators for t in op.outputs} | set(graph.main.inputs)
    tensors = tuple(
        (t.name, i) for i, t in enumerate(graph.main.tensors) if t.is_float and t in written & read
    )
    return Job(
        graph.to_bytes(),
        graph.origin,
        graph.fingerprint(),
        tensors,
        num_threads,
        momentum,
        keeps_state(graph),
    )


def keeps_state(graph: Graph) -> bool:
    """Whether a run of the model depends on the runs before: it has variables."""
    return any(
        any(t.is_variable for t in subgraph.tensors)
        or any(op.kind in _STATE for op in subgraph.operators)
        for subgraph in graph.subgraphs
    )


def environment() -> str:
    """What may change the last bits of a float model's activations: interpreter, machine,
    instruction sets.
    """
    return f"{runner.version()}; {platform.machine()}; {' '.join(_native.cpu_features())}"


class Gathered:
    """The statistics so far, and the model that they are gathered from.

    start: statistics to go on from. advance: called after each sample. Raises ModelError when the
    runtime refuses the model.
    """

    def __init__(self, job: Job, start: Stats | None, advance: Callable[[], None]):
        self._job, self._advance = job, advance
        self._samples = 0 if start is None else start.samples
        self._environment = {environment(), *(() if start is None else start.environment)}
        self._runner = runner.Runner(job.model, job.origin, job.num_threads)
        self._tensors = [
            (
                name,
                index,
                Accumulator(None if start is None else start.tensors.get(name), job.momentum),
            )
            for name, index in job.tensors
        ]

    def add(self, number: int, sample: list[np.ndarray]) -> None:
        """Runs the sample and adds its activations. Raises DataError, naming sample `number` and
        the tensor, for NaN and infinities; what was gathered is then spoilt.
        """
        self._runner.run(sample)
        for name, index, accumulator in self._tensors:
            if accumulator.add(self._runner.value(index)):
                raise DataError(f"sample {number}: tensor {name!r} holds NaN or infinities")
        self._samples += 1
        self._advance()

    def stats(self) -> Stats:
        tensors = {name: accumulator.stats for name, _, accumulator in sorted(self._tensors)}
        return Stats(
            tensors,
            self._job.fingerprint,
            self._samples,
            tuple(sorted(self._environment)),
            self._job.ordered,
        )


def restored(path: str | os.PathLike, job: Job) -> Stats:
    """The statistics that an interrupted run of the same job kept. Raises StatsError for others."""
    stats = Stats.load(path)
    other = None
    if stats.ordered:
        raise StatsError(
            f"{path}: the model keeps state between samples, which was lost when this run was "
            "interrupted: remove the file or leave out --resume"
        )
    if stats.fingerprint != job.fingerprint:
        other = "from another model"
    elif {s.moving and s.moving.momentum for s in stats.tensors.values() if s.samples} != {
        job.momentum
    }:
        other = f"for another recipe (momentum {job.momentum} is wanted)"
    if other is not None:
        raise StatsError(
            f"{path}: these samples were gathered {other}; remove the file or leave out --resume"
        )
    return stats
