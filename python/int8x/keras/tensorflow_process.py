"""The conversion of a model of Keras's JAX backend: a process of its own, with TensorFlow.

TFLite's converter reads TensorFlow's graphs alone. The model goes over as the `.keras` file that it
is, ranges and all, is instrumented again as it was trained, and converted as ever; the float graph
comes back with its ranges and the recipe for it. Data and the quantizer stay with the caller.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from int8x import errors
from int8x.errors import ModelError
from int8x.keras import private

if TYPE_CHECKING:
    from int8x.quantization.recipe import Recipe
    from int8x.tflite.graph import Graph

# -c puts the working folder first, where any file may be called like a module.
_LIFE = (
    "import sys; sys.path = [p for p in sys.path if p]; "
    "from int8x.keras import tensorflow_process; tensorflow_process.serve(sys.argv[1])"
)
_LAST_WORDS = 2000  # characters of a dead process's stderr that its error quotes


def convert(model: keras.Model, markers: bool = False) -> Graph:
    """int8x.keras.convert() of a model of another backend; ModelError with the process's own words
    when it fails.
    """
    return _ask(model, {"markers": markers})[0]


def convert_trained(model: keras.Model, recipe: Recipe) -> tuple[Graph, Recipe]:
    """The same with weight grids, and the recipe that makes of it what it was trained as."""
    return _ask(model, {"recipe": json.loads(recipe.to_json())})


def _ask(model: keras.Model, task: dict[str, Any]) -> tuple[Any, Any]:
    from int8x.keras.handle import handle_of
    from int8x.quantization.recipe import Recipe
    from int8x.tflite.graph import Graph

    private.check_version()
    handle = handle_of(model)
    task["settings"] = None if handle is None else _plain_settings(model, handle.settings)
    with tempfile.TemporaryDirectory(prefix="int8x-") as name:
        folder = Path(name)
        model.save(folder / "model.keras")
        (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
        _run(model.name, folder)
        answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
        if "error" in answer:
            raise getattr(errors, answer["error"], ModelError)(answer["message"])
        graph = Graph.from_bytes((folder / "float.tflite").read_bytes(), model.name)
    return graph, Recipe.from_dict(answer["recipe"]) if answer["recipe"] else None


def _run(name: str, folder: Path) -> None:
    """Runs the process; ModelError when it died without an answer."""
    kept = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}  # JAX's own
    ran = subprocess.run(
        [sys.executable, "-c", _LIFE, str(folder)],
        env={
            **kept,
            "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
            "KERAS_BACKEND": "tensorflow",
            "CUDA_VISIBLE_DEVICES": "-1",
            "TF_CPP_MIN_LOG_LEVEL": kept.get("TF_CPP_MIN_LOG_LEVEL", "3"),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    if not (folder / "answer.json").exists():
        said = ran.stderr.decode("utf-8", "replace").strip()[-_LAST_WORDS:]
        raise ModelError(
            f"{name}: the process that converts it with TensorFlow ended with status "
            f"{ran.returncode}" + (f"; its last words: {said}" if said else "")
        )


def _plain_settings(model: keras.Model, settings: Any) -> dict[str, Any]:
    """The settings as JSON has them, layers that stay float by their names; none where the model's
    QATWrappers say them.
    """
    from int8x.keras.prunable import excluded
    from int8x.keras.qat_wrapper import wrapped_settings

    if wrapped_settings(model) is not None:
        return {}
    ids = excluded(model, settings.exclude, "QATCallback")
    names = tuple(layer.name for layer in private.all_layers(model) if id(layer) in ids)
    return dataclasses.asdict(dataclasses.replace(settings, exclude=names))


def serve(name: str) -> None:
    """The process's life: does the task of a folder and leaves graph and answer, or what failed."""
    folder = Path(name)
    answer: dict[str, Any] = {}
    try:
        answer["recipe"] = _serve(folder)
    except Exception as error:
        answer = {"error": type(error).__name__, "message": " ".join(str(error).split())}
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def _serve(folder: Path) -> dict[str, Any] | None:
    import int8x.keras  # registers the wrappers
    from int8x.keras import conversion
    from int8x.quantization.recipe import Recipe

    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    file = folder / "model.keras"
    model = keras.saving.load_model(file, compile=False)
    if task["settings"] is not None:
        settings = {key: _tupled(value) for key, value in task["settings"].items()}
        int8x.keras.attach(model, **settings)
        model.load_weights(file)
    recipe = None
    if "recipe" in task:
        graph, recipe = conversion.convert_trained(model, Recipe.from_dict(task["recipe"]))
    else:
        graph = conversion.convert(model, task["markers"])
    graph.save(folder / "float.tflite")
    return None if recipe is None else json.loads(recipe.to_json())


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
