"""Rows, as tables on the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from quality.methods import PEERS
from rich.table import Table

MARGIN_DB = 0.2


@dataclass(frozen=True)
class Row:
    """One net by one method. sqnr_db: mean over the outputs, outputs_db each. float_operators: how
    many compute in float. failure: why there is no result. calibration, evaluation: samples.
    """

    model: str
    method: str
    task: str
    score: float | None = None
    sqnr_db: float | None = None
    outputs_db: tuple[float, ...] = ()
    float_operators: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    failure: str = ""
    calibration: int = 0
    evaluation: int = 0


def table(rows: Sequence[Row]) -> Table:
    """One net's rows."""
    shown = Table(title=rows[0].model, title_justify="left")
    shown.add_column("method", no_wrap=True)
    for column in ("SQNR dB", rows[0].task, "float operators", "bytes", "seconds"):
        shown.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        if row.failure:
            shown.add_row(row.method, "fails")
            continue
        shown.add_row(
            row.method,
            "" if row.sqnr_db is None else f"{row.sqnr_db:.2f}",
            f"{row.score:.2f}",
            "" if row.float_operators is None else str(row.float_operators),
            f"{row.bytes:,}",
            "" if row.seconds is None else f"{row.seconds:.1f}",
        )
    failures = [f"{row.method}: {row.failure}" for row in rows if row.failure]
    shown.caption = "\n".join(failures) or None
    return shown


def verdict(rows: Sequence[Row]) -> Table:
    """Each recipe of int8x against the best peer on every net; losses in red."""
    best: dict[str, float] = {}
    for row in rows:
        if row.method in PEERS and row.sqnr_db is not None:
            best[row.model] = max(best.get(row.model, row.sqnr_db), row.sqnr_db)
    shown = Table(title="dB over the best peer", title_justify="left")
    methods = list(dict.fromkeys(row.method for row in rows if row.method.startswith("int8x")))
    shown.add_column("model", no_wrap=True)
    for method in methods:
        shown.add_column(method.removeprefix("int8x "), justify="right")
    found = {(row.model, row.method): row.sqnr_db for row in rows}
    for model, peer in best.items():
        over = [None if (db := found.get((model, m))) is None else db - peer for m in methods]
        shown.add_row(model, *(_marked(db) for db in over))
    return shown


def _marked(db: float | None) -> str:
    if db is None:
        return ""
    return f"[red]{db:+.2f}[/red]" if db < -MARGIN_DB else f"{db:+.2f}"
