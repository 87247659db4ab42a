"""int8x validate FLOAT INT8 --data D"""

from pathlib import Path
from typing import Annotated

import typer

from int8x.cli import writable


def command(
    float_model: Annotated[Path, typer.Argument(metavar="FLOAT", help="Float .tflite model.")],
    int8_model: Annotated[Path, typer.Argument(metavar="INT8", help="The quantized model.")],
    data: Annotated[
        Path, typer.Option(help="Samples: a .npy, a .npz by input name, or a folder of .npy.")
    ],
    labels: Annotated[
        Path | None, typer.Option(help="Right answers, a .npy of integers: measures accuracy.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="The recipe of INT8, when it does not lie beside it: a name or a file."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the report as JSON.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write the report as CSV.")] = None,
) -> None:
    """Compare a quantized model with its float original, tensor by tensor and operator by operator:
    the error so far, and what each operator adds by itself.
    """
    from rich.console import Console

    from int8x.progress import bar
    from int8x.tflite.graph import write_file
    from int8x.validation.validator import load_labels, validate

    for target in (json, csv):
        if target is not None:
            writable(target)
    known = None if labels is None else load_labels(labels)
    report = validate(float_model, int8_model, str(data), labels=known, recipe=recipe, progress=bar)
    if json is not None:
        write_file(json, report.to_json().encode())
    if csv is not None:
        write_file(csv, report.to_csv().encode())
    console = Console()
    console.print(report.table())
    console.print(report.operator_table())
    for note in report.notes:
        typer.echo(f"note: {note}")
    for name, share in zip(report.outputs, report.agreement, strict=True):
        typer.echo(f"{name}: top-1 agreement {share:.2%}")
    if report.float_accuracy is not None:
        typer.echo(f"accuracy: float {report.float_accuracy:.2%}, int8 {report.int8_accuracy:.2%}")
    typer.echo(report.verdict)
