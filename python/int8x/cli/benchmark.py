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
        list[str], typer.Option(help="int8x, xnnpack, stock or reference; several times for more.")
    ] = ["int8x", "xnnpack", "stock"],  # noqa: B006
    json: Annotated[Path | None, typer.Option(help="Also write the rows as JSON.")] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Time the delegate's steps.")] = False,
) -> None:
    """Time models in int8x, XNNPACK and TFLite's stock kernels, in turn in one process."""
    from int8x import benchmarking
    from rich.console import Console
    from rich.progress import Progress

    unknown = [name for name in runner if name not in benchmarking.RUNNERS]
    if unknown:
        known = ", ".join(benchmarking.RUNNERS)
        raise typer.BadParameter(f"{unknown[0]!r} is none of {known}", param_hint="--runner")
    if json is not None:
        writable(json)
    rows: list[benchmarking.Row] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for model in models:
            for count in threads:
                task = progress.add_task(f"{model.name}, {count} threads", total=runs)
                rows += benchmarking.compare(
                    model,
                    runner,
                    count,
                    runs,
                    progress=lambda _, done, total, task=task: progress.update(
                        task, completed=done, total=total
                    ),
                )
                progress.remove_task(task)
    console = Console()
    console.print(benchmarking.table(rows))
    if profile:
        for model in models:
            for count in threads:
                console.print(benchmarking.profile_table(benchmarking.profile(model, count)))
    if json is not None:
        benchmarking.save(json, rows)
