"""The demo's steps in order, what they leave in the output folder, and the table at the end."""

import json
import os
import shutil
import zlib
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
from int8x.quantizer import quantize
from int8x.quiet import quiet_stderr
from int8x.tflite.graph import Graph, write_file
from int8x.validation.validator import Report, validate

CALIBRATION_IMAGES = 200
VALIDATION_IMAGES = 200
COMPARED_IMAGES = 1000
RUNNERS = ("int8x", "xnnpack", "stock")
FILES = {  # of each step on the road, in order; the last is what the others lead to
    "float": "float.tflite",
    "calibrated": "calibrated.int8.tflite",
    "QAT": "trained.int8.tflite",
    "pruned + QAT": "model.int8.tflite",
}


def walk(name: str, output: Path, progress: Progress) -> tuple[dict[str, Any], Report]:
    """Walks the road on the data set `name`; returns result.json's content and the tensors' report.

    `output` then holds float.tflite (the net before fine-tuning); calibrated.int8.tflite, which is
    that quantized without training; trained.int8.tflite and model.int8.tflite, that fine-tuned
    quantization-aware, the second pruned in the same fit; recipe.json, stats.npz (of float.tflite)
    and result.json. Raises DataError when the data is missing, Int8xError when Keras is.
    """
    data = load(name)
    output.mkdir(parents=True, exist_ok=True)
    files = {file: output / file for file in (*FILES.values(), "recipe.json", "stats.npz")}
    result: dict[str, Any] = {
        "data": name,
        "train_images": len(data.x),
        "test_images": len(data.x_test),
    }

    graph, trained, trained_outputs, sparsity = _train(data, files, progress)
    left = checks.float_operators(graph)
    report = validate(trained, graph, data.x_test[:VALIDATION_IMAGES], progress=progress)

    stats = calibrate(str(files["float.tflite"]), data.x[:CALIBRATION_IMAGES], progress=progress)
    stats.save(files["stats.npz"])
    quantize(str(files["float.tflite"]), stats).save(files["calibrated.int8.tflite"])

    labels, images = data.y_test, data.x_test
    steps, choices = {}, {}
    for step, file in FILES.items():
        path = files[file]
        runners: tuple[str, ...] = ("int8x",)
        if step == "float":
            outputs, runners = checks.float_outputs(path, images, progress), ("xnnpack",)
        else:
            outputs, claims = checks.int8_outputs(path, images, progress)
        if step == "pruned + QAT":
            runners = RUNNERS
        choices[step] = outputs.argmax(1)
        latencies = _latencies(path, runners, progress)
        steps[step] = {
            "file": file,
            "accuracy": _share(choices[step] == labels),
            **_sizes(path),
            "runner": runners[0],
            "median_ms": latencies[runners[0]],
        }
    from_float, from_int8 = choices["float"], choices["pruned + QAT"]
    exact = checks.bit_exact(files["model.int8.tflite"], images[:COMPARED_IMAGES], progress)

    result |= {
        "steps": steps,
        "float_accuracy": steps["float"]["accuracy"],
        "int8_accuracy": steps["pruned + QAT"]["accuracy"],
        "int8_accuracy_calibrated_only": steps["calibrated"]["accuracy"],
        "file_bytes": {step["file"]: step["bytes"] for step in steps.values()},
        "sparsity": sparsity,
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
        "latency_ms": latencies,
        "machine": machine.machine(),
        "versions": machine.versions(),
    }
    write_file(output / "result.json", (json.dumps(result, indent=2) + "\n").encode())
    return result, report


def _train(
    data: Dataset, files: dict[str, Path], progress: Progress
) -> tuple[Graph, Graph, np.ndarray, float]:
    """Writes the trained models; of the last gives the int8 graph, its float form, the trained test
    outputs, and the share of zeros in the pruned kernels.
    """
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
    weights, sparsity = model.get_weights(), 0.0
    for step in ("QAT", "pruned + QAT"):
        sparsity = training.train_int8(model, data, weights, step == "pruned + QAT", progress)
        graph = export(model, files[FILES[step]])
    shutil.copyfile(files["model.int8.tflite"].with_suffix(".recipe.json"), files["recipe.json"])
    return graph, convert(model, markers=True), training.predict(model, data.x_test), sparsity


def _sizes(path: Path) -> dict[str, int]:
    """Bytes of a file as it is and compressed, as an app's package holds it."""
    content = path.read_bytes()
    return {"bytes": len(content), "zipped_bytes": len(zlib.compress(content, 9))}


def _latencies(path: Path, runners: tuple[str, ...], progress: Progress) -> dict[str, float]:
    """Median milliseconds of one inference on one thread, the runners in turn."""
    rows = benchmarking.compare(path, runners, progress=progress)
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
