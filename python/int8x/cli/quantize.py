"""int8x quantize FLOAT [--data D | --stats S] [--recipe R] --output model.int8.tflite"""

import dataclasses
import warnings
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from int8x.cli import writable


def command(
    model: Annotated[Path, typer.Argument(metavar="FLOAT", help="Float .tflite model.")],
    output: Annotated[
        Path, typer.Option(help="Where the .tflite goes; its recipe is written beside it.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Samples to calibrate with: .npy, .npz or a folder of .npy. dynamic, weight_only "
            "and float16 need none."
        ),
    ] = None,
    stats: Annotated[
        Path | None, typer.Option(help="Statistics that int8x calibrate saved.")
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            help="int8, minmax, int16x8, int8_w4, dynamic, weight_only, float16, auto, or a recipe "
            "file (JSON)."
        ),
    ] = "int8",
    io: Annotated[
        str | None, typer.Option(help="Type of inputs and outputs: int8, uint8, int16 or float.")
    ] = None,
    allow_float: Annotated[
        bool, typer.Option("--allow-float", help="Leave operators without an int8 form in float.")
    ] = False,
    labels: Annotated[
        Path | None,
        typer.Option(help="Right answers, a .npy of integers: auto measures accuracy with them."),
    ] = None,
    sparse_encoding: Annotated[
        bool,
        typer.Option(
            "--sparse-encoding",
            help="Write FULLY_CONNECTED's 1x16 blocks of zeros in TFLite's sparse form where that "
            "is smaller.",
        ),
    ] = False,
    target_sqnr: Annotated[
        float | None, typer.Option(help="auto: the least SQNR of the outputs, in dB.")
    ] = None,
    max_drop: Annotated[
        float | None, typer.Option(help="auto: the most accuracy to lose, in points.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes of this machine that share the samples.")
    ] = 1,
) -> None:
    """Make a float model full int8, or what the recipe says.

    Exit status 1, with the file written, when auto cannot meet its target.
    """
    from rich.console import Console

    from int8x.methods.refinement import wanted
    from int8x.progress import bar
    from int8x.quantization.passes import prepare
    from int8x.quantization.recipe import resolve
    from int8x.quantizer import quantize
    from int8x.tflite.graph import Graph
    from int8x.validation.validator import load_labels

    chosen = resolve(recipe)
    if io is not None:
        if io not in ("int8", "uint8", "int16", "float"):
            raise typer.BadParameter(f"--io must be int8, uint8, int16 or float, got {io!r}")
        chosen = dataclasses.replace(chosen, io=io)
    if allow_float:
        chosen = dataclasses.replace(chosen, allow_float=True)
    targeted = target_sqnr is not None or max_drop is not None
    if not chosen.auto and (labels is not None or targeted):
        raise typer.BadParameter("--labels, --target-sqnr and --max-drop belong to --recipe auto")
    if targeted:
        chosen = dataclasses.replace(chosen, target_sqnr=target_sqnr, max_drop=max_drop)
    if chosen.auto and data is None:
        raise typer.BadParameter("--recipe auto needs --data")
    writable(output)
    known = None if labels is None else load_labels(labels)
    given = data is not None or stats is not None
    if not chosen.needs_ranges and given and not wanted(chosen):
        typer.echo(f"{chosen.compute} needs no --data and no --stats: they are not read", err=True)
        data = stats = None
    elif chosen.needs_ranges and not given and not prepare(Graph.load(model)).ranges:
        raise typer.BadParameter("the model carries no ranges: give --data or --stats")
    source = None if data is None else str(data)
    with warnings.catch_warnings():
        if chosen.auto:  # what it found is told below
            warnings.filterwarnings("ignore", "(?s).*auto: the target")
        graph = quantize(
            model,
            stats,
            source,
            chosen,
            labels=known,
            sparse_encoding=sparse_encoding,
            progress=bar,
            workers=workers,
        )
    graph.save(output)
    result = graph.quantization
    assert result is not None  # quantize() sets it
    sources = Counter(grid.source.split(" of ")[0] for grid in result.grids.values())
    told = ", ".join(f"{count} {source}" for source, count in sorted(sources.items()))
    told = f", ranges: {told}" if told else ""
    typer.echo(f"{output}: {len(graph.main.operators)} operators, {chosen.compute}{told}")
    if sparse_encoding:
        less = sum(part.dense_bytes - part.sparse_bytes for part in result.sparse)
        typer.echo(f"sparse: {len(result.sparse)} constants, {less:,} bytes less")
    for name, kind, reason in result.float_operators:
        typer.echo(f"left in float: {kind} {name!r}: {reason}", err=True)
    for step in result.methods:
        typer.echo(f"{step.method}: {step.note}", err=step.before is None)
    if result.search is not None:
        Console().print(result.search.table())
        if not result.search.met:
            best = result.search.trials[-1]
            typer.echo(
                f"error: {output}: the target, {result.search.target}, is not met: the best, which "
                f"was written, has {best.sqnr_db:.1f} dB on samples held out{result.search.advice}",
                err=True,
            )
            raise typer.Exit(1)
