"""int8x convert MODEL --output float.tflite"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from int8x.cli import writable
from int8x.errors import ModelError

_KERAS = (".keras", ".h5", ".hdf5")


def command(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A .keras or .h5 file, or a .tflite.")
    ],
    output: Annotated[Path, typer.Option(help="Where the float .tflite goes.")],
) -> None:
    """Write a model as a prepared float .tflite."""
    from int8x.quantization.passes import prepare
    from int8x.tflite.graph import Graph

    writable(output)
    if model.suffix in _KERAS:
        graph = _from_keras(model)
    elif model.suffix == ".tflite":
        graph = Graph.load(model)
    else:
        raise ModelError(f"{model}: a .keras, .h5 or .tflite file was wanted")
    prepare(graph).save(output)
    typer.echo(f"{output}: {len(graph.main.operators)} operators")


def _from_keras(path: Path) -> Any:
    """The graph of a saved Keras 3 model; files with code in them (Lambda layers) are refused."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    try:
        import keras

        from int8x.keras.conversion import convert
    except ImportError as error:
        raise ModelError(f"{path}: Keras is needed ({error}): pip install 'int8x[keras]'") from None
    try:
        loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its zip, HDF5 and layer readers raise
        told = " ".join(str(error).split())
        raise ModelError(f"{path}: Keras cannot load it: {told}") from None
    if any(type(layer).__name__ == "Lambda" for layer in _layers(loaded)):
        raise ModelError(f"{path}: it has a Lambda layer, whose code is not loaded from files")
    return convert(loaded)


def _layers(model: Any) -> Iterator[Any]:
    for layer in getattr(model, "layers", ()):
        yield layer
        yield from _layers(layer)
