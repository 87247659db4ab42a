"""Benchmarks as rich tables."""

from collections.abc import Sequence
from typing import Any

from int8x.benchmarking import RUNNERS, Row, ratio
from int8x.runtime.claims import Claims, Step


def show(*tables: Any) -> None:
    """Prints rich tables, uncut where stdout is no terminal."""
    from rich.console import Console

    terminal = Console()
    for shown in tables:
        (terminal if terminal.is_terminal else Console(width=140)).print(shown)


def _empty(title: str, left: Sequence[str], right: Sequence[str]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in left:
        table.add_column(column, no_wrap=True)
    for column in right:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def medians(rows: Sequence[Row]) -> Any:
    """One line per model and thread count: medians in ms, and how much faster int8x is."""
    runners = [runner for runner in RUNNERS if any(row.runner == runner for row in rows)]
    peers = [runner for runner in runners if runner != "int8x"] if "int8x" in runners else []
    ratios = [f"{peer}/int8x" for peer in peers]
    table = _empty("median ms per inference", ["model"], ["threads", *runners, *ratios])
    for model, threads in dict.fromkeys((row.model, row.threads) for row in rows):
        found = {r.runner: r.median_ms for r in rows if (r.model, r.threads) == (model, threads)}
        times = [f"{found[runner]:.4g}" if runner in found else "" for runner in runners]
        faster = [ratio(rows, model, threads, peer) for peer in peers]
        table.add_row(model, str(threads), *times, *(f"{r:.2f}" if r else "" for r in faster))
    return table


def steps(claims: Claims) -> Any:
    """The delegate's steps, the slowest first, with microseconds per run, share and GMAC/s."""

    def nanoseconds(step: Step) -> float:
        return step.nanoseconds / max(step.runs, 1)

    title = f"steps of the delegate: arch {claims.arch}, threads {claims.threads}"
    table = _empty(title, ["node", "op", "kernel"], ["us", "share", "GMAC/s"])
    total = sum(map(nanoseconds, claims.steps)) or 1.0
    for step in sorted(claims.steps, key=nanoseconds, reverse=True):
        time = nanoseconds(step)
        speed = f"{step.macs / time:.1f}" if step.macs and time else ""
        cells = (f"{time / 1e3:.2f}", f"{time / total:.1%}", speed)
        table.add_row(str(step.node), step.op, step.kernel, *cells)
    return table
