"""The demo's steps in order, what they leave in the output folder, and the table at the end."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from int8x import benchmarking, machine
from int8x.calibration.calibrator import calibrate
from int8x.demo import checks
from int8x.demo.datasets import Dataset, load
from int8x.errors import Int8xError
from int8x.exporter import export
from int8x.progress import Progress
from int8x.quantization.quantizer import quantize
from int8x.quiet import quiet_stderr
from int8x.tflite.graph import Graph, write_file
from int8x.validation.validator import Report, validate

CALIBRATION_IMAGES = 200
VALIDATION_IMAGES = 200
COMPARED_IMAGES = 1000
RUNNERS = ("int8x", "xnnpack", "stock")


def walk(name: str, output: Path, progress: Progress) -> tuple[dict[str, Any], Report]:
    """Walks the road on the data set `name`; returns result.json's content and the tensors' report.

    `output` then holds float.tflite (the net before fine-tuning), model.int8.tflite, recipe.json,
    stats.npz (of float.tflite) and result.json. Raises DataError when the data is missing,
    Int8xError when Keras is.
    """
    data = load(name)
    output.mkdir(parents=True, exist_ok=True)
    files = {
        file: output / file
        for file in ("float.tflite", "model.int8.tflite", "recipe.json", "stats.npz")
    }
    result: dict[str, Any] = {
        "data": name,
        "train_images": len(data.x),
        "test_images": len(data.x_test),
    }

    graph, trained, trained_outputs = _train(data, files, progress)
    left = checks.float_operators(graph)
    report = validate(trained, graph, data.x_test[:VALIDATION_IMAGES], progress=progress)

    stats = calibrate(str(files["float.tflite"]), data.x[:CALIBRATION_IMAGES], progress=progress)
    stats.save(files["stats.npz"])
    without_training = quantize(str(files["float.tflite"]), stats).to_bytes()

    labels, images = data.y_test, data.x_test
    from_float = checks.float_outputs(files["float.tflite"], images, progress).argmax(1)
    int8_outputs, claims = checks.int8_outputs(files["model.int8.tflite"], images, progress)
    from_int8 = int8_outputs.argmax(1)
    calibrated = checks.int8_outputs(without_training, images, progress)[0].argmax(1)
    exact = checks.bit_exact(files["model.int8.tflite"], images[:COMPARED_IMAGES], progress)

    result |= {
        "float_accuracy": _share(from_float == labels),
        "int8_accuracy": _share(from_int8 == labels),
        "int8_accuracy_calibrated_only": _share(calibrated == labels),
        "agreement": _share(from_int8 == from_float),
        "agreement_with_training": _share(from_int8 == trained_outputs.argmax(1)),
        "bit_exact": exact,
        "bit_exact_inputs": min(COMPARED_IMAGES, len(images)),
        "bit_exact_threads": list(checks.THREADS),
        "float_operators": left,
        "operators": len(graph.main.operators),
        "claimed_ops": claims.ops,
        "claimed_macs": claims.macs,
        "partitions": claims.partitions,
        "latency_ms": _latencies(files["model.int8.tflite"], progress),
        "file_bytes": {
            file: files[file].stat().st_size for file in ("float.tflite", "model.int8.tflite")
        },
        "machine": machine.machine(),
        "versions": machine.versions(),
    }
    write_file(output / "result.json", (json.dumps(result, indent=2) + "\n").encode())
    return result, report


def _train(
    data: Dataset, files: dict[str, Path], progress: Progress
) -> tuple[Graph, Graph, np.ndarray]:
    """Writes both models; gives the int8 graph, its float form and the trained test outputs."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():  # what TensorFlow says while it is imported
        try:
            from int8x.keras import demo as training
        except ImportError as error:
            raise Int8xError(
                f"the demo trains with Keras ({error}): pip install 'int8x[keras]'"
            ) from None
        from int8x.keras.conversion import convert

        training.make_reproducible()
        model = training.build(data.x.shape[1:], training.SCHEDULES[data.name].stride)
    training.train_float(model, data, progress)
    convert(model).save(files["float.tflite"])
    training.train_int8(model, data, progress)
    graph = export(model, files["model.int8.tflite"])
    shutil.copyfile(files["model.int8.tflite"].with_suffix(".recipe.json"), files["recipe.json"])
    return graph, convert(model, markers=True), training.predict(model, data.x_test)


def _latencies(path: Path, progress: Progress) -> dict[str, float]:
    """Median milliseconds of one inference on one thread, the runners in turn."""
    rows = benchmarking.compare(path, RUNNERS, progress=progress)
    return {row.runner: row.median_ms for row in rows}


def _share(equal: np.ndarray) -> float:
    return float(np.mean(equal))


def failures(result: dict[str, Any]) -> list[str]:
    """What the demo promises and this result does not keep."""
    broken, left = [], result["float_operators"]
    if left:
        broken.append(f"{len(left)} float operators are left: {', '.join(left)}")
    if not result["bit_exact"]:
        broken.append("the delegate's outputs differ from the reference kernels'")
    return broken
