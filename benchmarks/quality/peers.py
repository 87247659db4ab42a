"""The peers: TensorFlow's converter, tf.lite's own calibrate-and-quantize, litert-quantizer."""

import contextlib
import functools
import io
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from int8x.quantization.passes import prepare
from int8x.tflite.graph import load
from int8x.tflite.schema import make
from quality.case import Case
from quality.environments import peer

_HERE = Path(__file__).parent


class PeerError(Exception):
    """A peer does not quantize a model; its own last words."""


def tensorflow(case: Case) -> bytes:
    """TFLiteConverter on a Keras model; on a .tflite tf.lite's calibrate-and-quantize. Int8 inputs
    and outputs; operators without an int8 form stay float.
    """
    return _tensorflow(case, sixteen=False)


def tensorflow_16x8(case: Case) -> bytes:
    """The same with int16 activations, inputs and outputs."""
    return _tensorflow(case, sixteen=True)


def _tensorflow(case: Case, sixteen: bool) -> bytes:
    if case.keras is not None:
        return _converter(case, sixteen)
    return _elsewhere(
        Path(sys.executable), "run_tensorflow.py", case, "int16" if sixteen else "int8"
    )


def _samples(case: Case) -> Iterator[list[np.ndarray]]:
    for sample in case.calibration:
        yield [sample[None]]


def _converter(case: Case, sixteen: bool) -> bytes:
    import keras
    import tensorflow as tf

    model, ops = case.keras, tf.lite.OpsSet
    spec = tf.TensorSpec((1, *model.inputs[0].shape[1:]), "float32")
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", functools.partial(_infer, model), input_signature=[spec])
    with tempfile.TemporaryDirectory() as folder, _quiet():
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _samples(case)
        converter.target_spec.supported_ops = (
            [ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8, ops.TFLITE_BUILTINS]
            if sixteen
            else [ops.TFLITE_BUILTINS_INT8, ops.TFLITE_BUILTINS]
        )
        converter.inference_input_type = converter.inference_output_type = (
            tf.int16 if sixteen else tf.int8
        )
        return converter.convert()


def _infer(model: Any, x: Any) -> Any:
    return model(x, training=False)


def litert_quantizer(case: Case, recipe: str = "static_wi8_ai8") -> bytes:
    """litert-quantizer with its static recipe, calibrated in the mode its README recommends."""
    python = peer("litert_quantizer") / "bin" / "python"
    return _elsewhere(python, "run_litert_quantizer.py", case, recipe)


def _elsewhere(python: Path, script: str, case: Case, *more: str) -> bytes:
    """What a script makes of the model in a process of its own; when it refuses the file, of the
    same net with a signature and plain float32 constants (in place of float16 or sparse ones).
    """
    with tempfile.TemporaryDirectory() as folder:
        model, data, output = (Path(folder) / name for name in ("in.tflite", "data.npy", "out"))
        np.save(data, case.calibration, allow_pickle=False)
        for content in (case.model, _plain(case.model)):
            model.write_bytes(content)
            command = [python, _HERE / script, model, data, output, *more]
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode == 0:
                return output.read_bytes()
        lines = [line for line in run.stderr.splitlines() if line.strip()]
        raise PeerError(lines[-1][-200:] if run.returncode > 0 and lines else "it crashed")


def _plain(model: bytes) -> bytes:
    graph = prepare(load(model))
    if not graph.signatures:
        entries = {
            side: [
                make("TensorMap", name=f"{side}_{place}", tensorIndex=tensor)
                for place, tensor in enumerate(getattr(graph.main, side))
            ]
            for side in ("inputs", "outputs")
        }
        graph.signatures = [
            make("SignatureDef", signatureKey="serving_default", subgraphIndex=0, **entries)
        ]
    return graph.to_bytes()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drops what the converter prints: every variable of the net, and notes on input types."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
