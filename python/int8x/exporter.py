"""export: any model that int8x knows, to a full int8 .tflite file."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from int8x.errors import ModelError
from int8x.progress import Progress, silent

if TYPE_CHECKING:
    from int8x.quantization.recipe import Recipe
    from int8x.tflite.graph import Graph


def export(
    model: Any,
    path: str | os.PathLike,
    data: Any = None,
    recipe: Any = "int8",
    *,
    labels: Any = None,
    sparse_encoding: bool = False,
    progress: Progress = silent,
    workers: int = 1,
) -> "Graph":
    """Writes the model as a full int8 .tflite, its recipe beside it, and returns its graph.

    model: a Keras 3 or tf_keras model, or the path of a float .tflite. Ranges that a Keras model
    learned with QATCallback, or a tf_keras model by TFMOT's quantize_model, are used: the file has
    exactly the scales, zero points and int8 weights that it was trained with; TFMOT's pruning and
    clustering wrappers may still be on. Everything else needs `data` to calibrate (see int8x.data),
    unless the recipe keeps activations in float. recipe: a preset's name, a recipe file, plain
    data, or a Recipe; where it computes in int8, a model that was trained for int16 activations,
    INT4 weights or float layers gets these. labels: one integer per sample, for recipe "auto".
    sparse_encoding: whether int8 weights of FULLY_CONNECTED with enough blocks of 1x16 zeros are
    written in TFLite's sparse form; see int8x.tflite.sparse_encoding for the runtimes that read it.
    progress: see int8x.progress. workers: processes that share the samples of a calibration; any
    number gives the same bits.

    Raises ModelError for a model of another kind, ValueError for a Keras model without learned
    ranges and without data, and what int8x.quantize raises: QuantizeError names operators that
    would stay float, or tensors without a range.

    >>> model.fit(x, y, callbacks=[int8x.QATCallback()])
    >>> graph = int8x.export(model, "model.int8.tflite")
    """
    from int8x.quantization.recipe import resolve
    from int8x.quantizer import quantize

    _check_writable(path)
    recipe = resolve(recipe)
    if _is_instance(model, "keras", "Model"):
        can_do_without = data is not None or not recipe.needs_ranges
        graph, recipe = _from_keras(model, can_do_without, recipe)
    elif _is_instance(model, "tf_keras", "Model"):
        graph = _from_keras2(model, data is not None or not recipe.needs_ranges)
    elif isinstance(model, (str, os.PathLike)):
        graph = _from_file(Path(model))
    else:
        raise ModelError(_refusal(model))
    result = quantize(
        graph,
        data=data,
        recipe=recipe,
        labels=labels,
        sparse_encoding=sparse_encoding,
        progress=progress,
        workers=workers,
    )
    result.save(path)
    return result


def convert(path: str | os.PathLike) -> "Graph":
    """The float graph of a saved Keras model (.keras, .h5, .hdf5); ModelError for a broken one.

    >>> convert("model.keras").save("float.tflite")
    """
    if not Path(path).is_file():
        raise FileNotFoundError(2, "no such model file", str(path))
    try:
        import keras
    except ImportError as error:
        raise ModelError(
            f"{path}: Keras is needed to read it ({error}): pip install 'int8x[keras]'"
        ) from None
    from int8x.keras.conversion import convert as convert_model

    try:
        model = keras.saving.load_model(path, compile=False)
    except (
        ValueError,
        TypeError,
        OSError,
        KeyError,
    ) as error:  # Keras has no class of its own for bad files
        raise ModelError(
            f"{path}: Keras {keras.__version__} cannot load it: {' '.join(str(error).split())}"
        ) from None
    return convert_model(model)


def _from_keras(model: Any, can_do_without: bool, recipe: "Recipe") -> tuple["Graph", "Recipe"]:
    """The float graph with the ranges that training learned, if any, and the recipe for it;
    can_do_without: whether there need be none.
    """
    from int8x.keras.conversion import convert, convert_trained
    from int8x.keras.handle import handle_of

    handle = handle_of(model)
    learned = handle is not None and handle.has_ranges()
    if not learned and not can_do_without:
        raise ValueError(
            f"{model.name}: this Keras model has no learned ranges: "
            "train it with int8x.QATCallback, or give data to calibrate; "
            "what a file has of them, int8x.keras.attach and load_weights bring back"
        )
    return convert_trained(model, recipe) if learned else (convert(model), recipe)


def _from_keras2(model: Any, can_do_without: bool) -> "Graph":
    """The float graph with the ranges that TFMOT trained, if any."""
    from int8x.keras2.conversion import convert, has_ranges

    graph = convert(model)
    if not can_do_without and not has_ranges(graph):
        raise ValueError(
            f"{model.name}: this tf_keras model has no ranges: train it after TFMOT's "
            "quantize_model, or give data to calibrate"
        )
    return graph


def _from_file(path: Path) -> "Graph":
    from int8x.tflite.graph import Graph

    if path.suffix != ".tflite":
        raise ModelError(
            f"{path}: a float .tflite or a Keras model object was wanted; load other files first"
        )
    return Graph.load(path)


def _is_instance(model: Any, package: str, name: str) -> bool:
    """Whether the model is of a class of a package that is already imported; imports nothing."""
    module = sys.modules.get(package)
    return module is not None and isinstance(model, getattr(module, name))


def _refusal(model: Any) -> str:
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    wanted = "a Keras model or the path of a float .tflite was wanted"
    if _is_instance(model, "torch.nn", "Module"):
        return f"{kind}: PyTorch modules are not exported yet; {wanted}"
    return f"{kind}: {wanted}"


def _check_writable(path: str | os.PathLike) -> None:
    """Fails before the work, not after it."""
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target}: a file was wanted, this is a folder")
    if not os.access(target.absolute().parent, os.W_OK):
        raise PermissionError(f"{target}: its folder does not exist or cannot be written")
