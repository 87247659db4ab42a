"""int8x demo [--data digits|fashion-mnist] [--output DIR]"""

from pathlib import Path
from typing import Annotated

import typer

from int8x.errors import Int8xError


def command(
    data: Annotated[str, typer.Option(help="digits or fashion-mnist.")] = "digits",
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that keeps the models and the result.")
    ] = Path("int8x-demo"),
) -> None:
    """Train a small CNN, prune it, make it int8, check it and time it: the whole road once."""
    from rich.console import Console

    from int8x.demo import datasets, road, table
    from int8x.progress import bar

    if data not in datasets.NAMES:
        raise typer.BadParameter(f"--data must be one of {', '.join(datasets.NAMES)}, got {data!r}")
    result, report = road.walk(data, output, bar)
    console = Console()
    console.print(table.steps(result), table.summary(result, report), table.latency(result))
    console.print(f"bit exact: {'yes' if result['bit_exact'] else 'no'}")
    console.print(
        f"kept in {output}: {', '.join(road.FILES.values())}, recipe.json, stats.npz, result.json",
        soft_wrap=True,
    )
    broken = road.failures(result)
    if broken:
        raise Int8xError("; ".join(broken))
