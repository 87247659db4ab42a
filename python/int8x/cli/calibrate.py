"""int8x calibrate FLOAT --data D [--workers N] [--recipe R] --output stats.npz"""

from pathlib import Path
from typing import Annotated

import typer

from int8x.cli import writable


def command(
    model: Annotated[Path, typer.Argument(metavar="FLOAT", help="Float .tflite model.")],
    data: Annotated[
        Path, typer.Option(help="Samples: a .npy, a .npz by input name, or a folder of .npy.")
    ],
    output: Annotated[Path, typer.Option(help="Where the statistics (.npz) go.")],
    recipe: Annotated[
        str,
        typer.Option(help="Name of a preset, or a recipe file: its passes, its moving average."),
    ] = "int8",
    workers: Annotated[
        int, typer.Option(min=1, help="Processes of this machine that share the samples.")
    ] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from what an interrupted run kept.")
    ] = False,
) -> None:
    """Run a float model over samples and save the statistics of its activations."""
    from int8x.calibration.calibrator import calibrate
    from int8x.calibration.observer import Stats
    from int8x.progress import bar

    kept = writable(output).with_name(f"{output.name}.partial")
    try:
        stats = calibrate(
            model,
            str(data),
            recipe=recipe,
            checkpoint=kept,
            resume=resume,
            progress=bar,
            workers=workers,
        )
    except KeyboardInterrupt:
        if kept.exists():
            told = "--resume goes on from there"
            if Stats.load(kept).ordered:
                told = "they serve as they are: the model keeps state, --resume cannot go on"
            typer.echo(f"kept what was gathered in {kept}; {told}", err=True)
        raise
    stats.save(output)
    typer.echo(f"{output}: {len(stats.tensors)} tensors, {stats.samples} samples")
