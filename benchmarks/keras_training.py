"""What quantization-aware training and pruning cost in accuracy and time, on Fashion-MNIST.

    python benchmarks/keras_training.py [--nets NAME ...] [--columns NAME ...] [--seeds N ...]
        [--epochs N] [--results FILE.json]
    python benchmarks/keras_training.py --table      the results as Markdown
    python benchmarks/keras_training.py --steps      how long a training step takes

Each seed trains a float checkpoint; every column goes on from it for the same epochs, rates and
batches, the float one too. Each result is kept in the file at once, under the fingerprint of the
sources that made it, and only what is missing or old is run: a long table can be made in pieces.
Accuracy is that of the .tflite on 10,000 test images, in int8x's delegate, whose integers are the
reference's. TFMOT runs in its pinned environment (tools/environments/tfmot.txt).
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parent))

from training.results import Result, load, store, table


def run(net: str, seed: int, column: str, epochs: int, path: Path) -> None:
    """One cell, unless the file has it from these very sources."""
    import keras
    from quality.case import accuracy
    from quality.measure import outputs_of
    from training.columns import COLUMNS
    from training.fit import images
    from training.start import Start

    mark = COLUMNS[column].fingerprint
    wanted = (net, seed, column, epochs)
    if any(row.key == wanted and row.fingerprint == mark for row in load(path)):
        return
    start = time.perf_counter()
    model = COLUMNS[column].make(Start(net, seed, epochs))
    seconds = round(time.perf_counter() - start, 1)
    keras.backend.clear_session()
    _, _, x, y = images()
    kernels = "xnnpack" if column == "float" else "int8x"
    outputs = outputs_of(model, x, kernels)
    score = round(accuracy(y).score(outputs, outputs), 2)
    store(path, Result(*wanted, mark, score, seconds))
    print(f"{net} seed {seed} {column}: {score:.2f} % ({seconds:.0f} s)", flush=True)


def print_table(path: Path, epochs: int, nets: list[str]) -> None:
    """The file's results of so many epochs; says how many are of older sources."""
    from training.columns import COLUMNS

    rows = [row for row in load(path) if row.epochs == epochs and row.net in nets]
    rows.sort(key=lambda row: nets.index(row.net))
    print(table(rows, {name: column.title for name, column in COLUMNS.items()}))
    old = sum(row.fingerprint != COLUMNS[row.column].fingerprint for row in rows)
    print(f"\n{epochs} epochs; {old} of {len(rows)} results are of older sources")


def print_steps(nets: list[str]) -> None:
    """Milliseconds of a step at batch 64 and how many times float's that is; TFMOT's beside it."""
    import json

    import keras
    from int8x import QATCallback
    from training.columns import run_tfmot
    from training.nets import NETS
    from training.steps import time_steps

    never = {"freeze_batchnorm": 1.0, "freeze_ranges": 1.0}
    print("| net | float ms | average | lsq | tf_keras float ms | TFMOT |\n" + "|---" * 6 + "|")
    for net in nets:
        build = NETS[net]
        kinds = {
            "float": lambda build=build: (build(keras), ()),
            "average": lambda build=build: (build(keras), (QATCallback(**never),)),
            "lsq": lambda build=build: (build(keras), (QATCallback(ranges="lsq", **never),)),
        }
        mine = time_steps(keras, kinds)
        theirs = json.loads(run_tfmot("steps", net))
        times = [mine[name] / mine["float"] for name in ("average", "lsq")]
        print(
            f"| {net} | {1000 * mine['float']:.2f} | {times[0]:.2f} | {times[1]:.2f} | "
            f"{1000 * theirs['float']:.2f} | {theirs['qat'] / theirs['float']:.2f} |",
            flush=True,
        )


def arguments() -> argparse.Namespace:
    from training.columns import COLUMNS
    from training.nets import NETS

    parser = argparse.ArgumentParser(description="Accuracy and cost of training for int8.")
    parser.add_argument("--nets", nargs="+", metavar="NAME", choices=NETS, default=list(NETS))
    parser.add_argument(
        "--columns", nargs="+", metavar="NAME", choices=COLUMNS, default=list(COLUMNS)
    )
    parser.add_argument("--seeds", nargs="+", metavar="N", type=int, default=list(range(5)))
    parser.add_argument("--epochs", metavar="N", type=int, default=4)
    default = Path(__file__).with_suffix(".json")
    parser.add_argument("--results", metavar="FILE.json", type=Path, default=default)
    parser.add_argument("--table", action="store_true", help="print the results, run nothing")
    parser.add_argument("--steps", action="store_true", help="time training steps instead")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.table:
        print_table(options.results, options.epochs, options.nets)
    elif options.steps:
        print_steps(options.nets)
    else:
        for seed in options.seeds:
            for net in options.nets:
                for column in options.columns:
                    run(net, seed, column, options.epochs, options.results)


if __name__ == "__main__":
    main()
