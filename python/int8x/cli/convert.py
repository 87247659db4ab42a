"""int8x convert MODEL --output float.tflite"""

from pathlib import Path
from typing import Annotated

import typer

from int8x.cli import writable
from int8x.errors import Int8xError

_KERAS = (".keras", ".h5", ".hdf5")


def command(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A .keras file, or a .tflite to prepare.")
    ],
    output: Annotated[Path, typer.Option(help="Where the float .tflite goes.")],
) -> None:
    """Write a model as a prepared float .tflite."""
    writable(output)
    if model.suffix in _KERAS:
        from int8x.exporter import convert  # imports Keras and TensorFlow

        graph = convert(model)
    elif model.suffix == ".tflite":
        from int8x.graph import Graph
        from int8x.passes import prepare

        graph = prepare(Graph.load(model))
    else:
        raise Int8xError(f"{model}: must be a .keras, .h5 or .tflite file")
    graph.save(output)
    typer.echo(f"{output}: {len(graph.main.operators)} operators")
