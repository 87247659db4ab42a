"""int8x benchmark MODEL..."""

from pathlib import Path
from typing import Annotated

import typer

from int8x.cli import writable


def command(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help=".tflite models.")],
    threads: Annotated[
        list[int], typer.Option(min=1, help="Threads of every runner; may be given several times.")
    ] = [1],  # noqa: B006
    runs: Annotated[int, typer.Option(min=1, help="Turns of every runner.")] = 30,
    runner: Annotated[
        list[str],
        typer.Option(
            help="int8x, dense (int8x, sparse=off), xnnpack, stock or reference; may be repeated."
        ),
    ] = ["int8x", "xnnpack", "stock"],  # noqa: B006
    json: Annotated[Path | None, typer.Option(help="Also write the rows as JSON.")] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Time the delegate's steps.")] = False,
) -> None:
    """Time models in int8x, XNNPACK and TFLite's stock kernels, in turn in one process."""
    from int8x import benchmark_tables, benchmarking
    from int8x.progress import bar

    unknown = [name for name in runner if name not in benchmarking.RUNNERS]
    if unknown:
        known = ", ".join(benchmarking.RUNNERS)
        raise typer.BadParameter(f"{unknown[0]!r} is none of {known}", param_hint="--runner")
    if json is not None:
        writable(json)
    rows: list[benchmarking.Row] = []
    for model in models:
        for count in threads:
            rows += benchmarking.compare(model, runner, count, runs, progress=bar)
    benchmark_tables.show(benchmark_tables.medians(rows))
    if profile:
        for model in models:
            for count in threads:
                profiled = benchmarking.profile(model, count)
                benchmark_tables.show(benchmark_tables.steps(profiled))
    if json is not None:
        benchmarking.save(json, rows)
