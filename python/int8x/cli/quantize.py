"""int8x quantize FLOAT (--data D | --stats S) --output model.int8.tflite"""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from int8x.cli import writable


def command(
    model: Annotated[Path, typer.Argument(metavar="FLOAT", help="Float .tflite model.")],
    output: Annotated[
        Path, typer.Option(help="Where the int8 .tflite goes; its recipe is written beside it.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Samples to calibrate with: .npy, .npz or a folder of .npy."),
    ] = None,
    stats: Annotated[
        Path | None, typer.Option(help="Statistics that int8x calibrate saved.")
    ] = None,
    recipe: Annotated[str, typer.Option(help="Name of a preset, or a recipe file.")] = "int8",
    io: Annotated[
        str | None, typer.Option(help="Type of inputs and outputs: int8, uint8 or float.")
    ] = None,
    allow_float: Annotated[
        bool, typer.Option("--allow-float", help="Leave operators without an int8 form in float.")
    ] = False,
) -> None:
    """Make a float model full int8."""
    from int8x.graph import Graph
    from int8x.passes import prepare
    from int8x.progress import bar
    from int8x.quantizer import quantize
    from int8x.recipe import resolve

    chosen = resolve(recipe)
    if io is not None:
        if io not in ("int8", "uint8", "float"):
            raise typer.BadParameter(f"--io must be int8, uint8 or float, got {io!r}")
        chosen = dataclasses.replace(chosen, io=io)
    if allow_float:
        chosen = dataclasses.replace(chosen, allow_float=True)
    writable(output)
    if data is None and stats is None and not prepare(Graph.load(model)).ranges:
        raise typer.BadParameter("the model carries no ranges: give --data or --stats")
    graph = quantize(model, stats, None if data is None else str(data), chosen, progress=bar)
    graph.save(output)
    result = graph.quantization
    assert result is not None  # quantize() sets it
    sources = Counter(grid.source.split(" of ")[0] for grid in result.grids.values())
    typer.echo(
        f"{output}: {len(graph.main.operators)} operators, ranges: "
        + ", ".join(f"{count} {source}" for source, count in sorted(sources.items()))
    )
    for name, kind, reason in result.float_operators:
        typer.echo(f"left in float: {kind} {name!r}: {reason}", err=True)
