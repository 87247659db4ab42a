"""Pretrained models from wherever they come, as Keras 3 models."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras

from int8x.errors import ModelError

_FILES = (".keras", ".h5", ".hdf5")
# Arguments that Keras 2 writes for layers which never had a use for them.
_UNUSED = {"groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"}
_WRITES_UNUSED = (
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
    "Conv1DTranspose",
    "Conv2DTranspose",
)


def load_pretrained(base: Any) -> keras.Model:
    """A Keras 3 model with weights: the model itself, a tf_keras model, or the path of a file.

    A .keras, .h5 or .hdf5 file is read by Keras 3, one that it cannot read (of Keras 2) by tf_keras
    where that is installed. A SavedModel folder that tf_keras wrote becomes layers again likewise;
    any other is one layer that is never trained. FileNotFoundError for a path that is not there,
    ModelError for what is no such model.
    """
    if isinstance(base, keras.Model):
        return base
    if _is_keras2(base):
        return _from_keras2(base)
    if not isinstance(base, (str, os.PathLike)):
        raise ModelError(
            "transfer: base: a Keras model, or the path of one (.keras, .h5 or a SavedModel "
            f"folder) was wanted, got {type(base).__name__}"
        )
    path = Path(base)
    if not path.exists():
        raise FileNotFoundError(2, "no such model", str(path))
    if path.is_dir():
        return _from_saved_model(path)
    if path.suffix not in _FILES:
        raise ModelError(f"{path}: a file {', '.join(_FILES)} or a SavedModel folder was wanted")
    try:
        return _load(path)
    except Exception as error:  # Keras has no class of its own for bad files
        return _by_keras2(path, error)


def _load(path: Path) -> keras.Model:
    """The model of a file; of .h5 also one that Keras 2 wrote."""
    if path.suffix == ".keras":
        return keras.saving.load_model(path, compile=False)
    lenient = {name: _lenient(getattr(keras.layers, name)) for name in _WRITES_UNUSED}
    model = keras.saving.load_model(path, custom_objects=lenient, compile=False)
    if (
        isinstance(getattr(model, "input", None), list)
        and len(model.inputs) == len(model.outputs) == 1
    ):
        # Keras 2 has lists of one tensor where Keras 3 has the tensor
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return model


def _lenient(plain: type[keras.Layer]) -> type[keras.Layer]:
    """Stands for a layer class while a file is read, and gives layers of that very class."""
    known = inspect.signature(plain).parameters

    class Lenient(plain):
        @classmethod
        def from_config(cls, config: dict[str, Any]) -> keras.Layer:
            if config.get("groups", 1) != 1 and "groups" not in known:
                raise ValueError(f"{config.get('name')}: one group was wanted, got {config}")
            fitting = {k: v for k, v in config.items() if k in known or k not in _UNUSED}
            return plain.from_config(fitting)

    return Lenient


def _is_keras2(model: Any) -> bool:
    module = sys.modules.get("tf_keras")
    return module is not None and isinstance(model, module.Model)


def _by_keras2(path: Path, error: Exception) -> keras.Model:
    """The model of a file or folder as tf_keras reads it; ModelError tells why Keras 3 did not."""
    told = f"{path}: Keras {keras.__version__} cannot load it: {' '.join(str(error).split())[:500]}"
    keras2 = _keras2()
    if keras2 is None:
        raise ModelError(f"{told}; for a Keras 2 model: pip install tf_keras") from None
    try:
        model = keras2.models.load_model(path, compile=False)
    except Exception as second:
        raise ModelError(f"{told}; nor can tf_keras: {' '.join(str(second).split())}") from None
    return _from_keras2(model)


def _keras2() -> Any:
    """tf_keras, or None where it is not installed."""
    try:
        return importlib.import_module("tf_keras")
    except ImportError:
        return None


def _from_keras2(model: Any) -> keras.Model:
    """A tf_keras model in Keras 3: through the .h5 format, which both know."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that .h5 is old
        file = Path(folder) / "model.h5"
        try:
            model.save(file, include_optimizer=False)
            return _load(file)
        except Exception as error:
            raise ModelError(
                f"{model.name}: Keras {keras.__version__} cannot take over this Keras 2 model: "
                f"{' '.join(str(error).split())[:500]}"
            ) from None


def _from_saved_model(path: Path) -> keras.Model:
    if not (path / "saved_model.pb").is_file():
        raise ModelError(f"{path}: a SavedModel folder has saved_model.pb, this one has not")
    if (path / "keras_metadata.pb").is_file() and _keras2() is not None:
        return _by_keras2(path, ValueError("it reads no SavedModel"))
    import tensorflow as tf

    try:
        endpoints = dict(tf.saved_model.load(str(path)).signatures)
    except Exception as error:
        raise ModelError(f"{path}: not a SavedModel: {' '.join(str(error).split())}") from None
    if "serving_default" not in endpoints:
        raise ModelError(
            f"{path}: the signature serving_default was wanted, got {sorted(endpoints) or 'none'}"
        )
    specs = list(endpoints["serving_default"].structured_input_signature[1].values())
    if len(specs) != 1 or specs[0].shape.rank is None:
        raise ModelError(f"{path}: one input of known rank was wanted, got {specs}")
    inputs = keras.Input(specs[0].shape[1:], dtype=specs[0].dtype.name)
    layer = keras.layers.TFSMLayer(str(path), call_endpoint="serving_default", name="saved_model")
    try:
        layer.trainable = False
    except AttributeError:  # Keras tracked TensorFlow's own variables until then
        raise ModelError(
            f"{path}: Keras 3.10 or later was wanted for a SavedModel without Keras's layers, got "
            f"{keras.__version__}"
        ) from None
    outputs = keras.tree.flatten(layer(inputs))
    if len(outputs) != 1:
        raise ModelError(f"{path}: one output was wanted, got {len(outputs)}")
    return keras.Model(inputs, outputs[0], name="saved_model_base")
