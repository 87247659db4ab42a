"""Times calibration of MobileNetV2 224 by int8x (histograms, sums, extremes of every activation)
and by TensorFlow's calibrator (extremes alone), and measures how much memory each takes.

    python benchmarks/calibration.py [--samples 100 1000] [--rounds 3] [--workers 2]

Every run is a process of its own, the runners take turns, and all read the same float .tflite and
the same samples, which are made as they are read. Time runs from the loaded libraries to the
statistics, the start of worker processes included; the processor's own seconds stand beside it, for
machines that have other work; memory is the highest resident set, of all
processes together, and what of it the libraries took before.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from models import default_cache

SHAPE = (1, 224, 224, 3)
NETWORK = "mobilenet_v2_224"


def samples(count: int) -> Iterator[np.ndarray]:
    """`count` images, of which ten differ."""
    images = [np.random.default_rng(seed).random(SHAPE, np.float32) for seed in range(10)]
    return (images[i % 10] for i in range(count))


def build(path: Path) -> None:
    """Writes the float .tflite, the same weights each time."""
    import keras
    from int8x.keras.conversion import to_bytes
    from networks import NETWORKS, settle

    keras.utils.set_random_seed(1)
    network = NETWORKS[NETWORK]
    model = network.build()
    settle(model, network.shape)
    path.write_bytes(to_bytes(model))


def run_int8x(model: Path, count: int, workers: int) -> float:
    from ai_edge_litert import schema_py_generated  # noqa: F401  # else loaded with the first model
    from int8x.calibration.calibrator import calibrate
    from int8x.runtime import runner

    runner.module()
    begun = time.perf_counter()
    stats = calibrate(model, samples(count), workers=workers)
    took = time.perf_counter() - begun
    assert stats.samples == count
    return took


def run_tensorflow(model: Path, count: int) -> float:
    from tensorflow.lite.python.optimize.calibrator import Calibrator

    content = model.read_bytes()
    begun = time.perf_counter()
    Calibrator(content).calibrate(lambda: ([sample] for sample in samples(count)))
    return time.perf_counter() - begun


def measure(runner: str, model: Path, count: int, workers: int) -> dict[str, Any]:
    """One run in this process."""
    if runner == "TensorFlow":
        import tensorflow  # noqa: F401
    before, used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, processor_seconds()
    workers = workers if runner == "int8x, workers" else 1
    seconds = (
        run_tensorflow(model, count) if runner == "TensorFlow" else run_int8x(model, count, workers)
    )
    used = processor_seconds() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if workers > 1:
        peak += workers * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"seconds": seconds, "cpu": used, "peak": peak / 1024, "before": before / 1024}


def processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def child(*arguments: str) -> str:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout.splitlines()[-1] if done.stdout else ""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times calibration in int8x and TensorFlow.")
    parser.add_argument("--samples", nargs="+", type=int, default=[100, 1000])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each runner")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder of the network")
    parser.add_argument("--build", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.build:
        return build(options.build)
    if options.measure:
        runner, model, count = options.measure
        print(json.dumps(measure(runner, Path(model), int(count), options.workers)))
        return None
    model = options.cache / f"{NETWORK}.float.tflite"
    if not model.exists():
        options.cache.mkdir(parents=True, exist_ok=True)
        partial = model.with_suffix(f".{os.getpid()}")
        child("--build", str(partial))
        os.replace(partial, model)
    runners = ["int8x", "int8x, workers", "TensorFlow"]
    print(
        "| samples | runner | seconds | processor s | samples/s | times TensorFlow's speed "
        "| peak MB | before |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for count in options.samples:
        runs: dict[str, list[dict[str, Any]]] = {runner: [] for runner in runners}
        for _ in range(options.rounds):
            for runner, records in runs.items():
                told = child(
                    "--measure", runner, str(model), str(count), "--workers", str(options.workers)
                )
                records.append(json.loads(told))
        show(count, runs, options.workers)
    return None


def show(count: int, runs: dict[str, list[dict[str, Any]]], workers: int) -> None:
    """A row for each runner: medians of its rounds, the highest of the peaks."""
    seconds = {
        runner: statistics.median(record["seconds"] for record in records)
        for runner, records in runs.items()
    }
    for runner, took in seconds.items():
        cpu = statistics.median(record["cpu"] for record in runs[runner])
        peak = max(record["peak"] for record in runs[runner])
        before = statistics.median(record["before"] for record in runs[runner])
        name = runner.replace("workers", f"{workers} workers")
        print(
            f"| {count} | {name} | {took:.2f} | {cpu:.2f} | {count / took:.0f} | "
            f"{seconds['TensorFlow'] / took:.1f} | {peak:.0f} | {before:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
