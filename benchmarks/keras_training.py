"""What quantization-aware training and pruning cost in accuracy and time, on Fashion-MNIST.

    python benchmarks/keras_training.py [--nets NAME ...] [--columns NAME ...] [--seeds N ...]
        [--epochs N] [--results FILE.json]
    python benchmarks/keras_training.py --table [--into docs/training.md]    the results, Markdown
    python benchmarks/keras_training.py --steps      how long a training step takes
    python benchmarks/keras_training.py --memory     how much memory a fit needs
    python benchmarks/keras_training.py --agreement  how far files are from the nets in Keras

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

from training.results import Result, differences, load, origin, store, table


def run(net: str, seed: int, column: str, epochs: int, path: Path) -> None:
    """One cell, unless the file has it from these very sources."""
    import keras
    from quality.case import accuracy
    from quality.measure import outputs_of
    from training import emotions
    from training.columns import COLUMNS
    from training.fit import images
    from training.start import Start

    if net == emotions.NET and column not in emotions.COLUMNS:
        return
    mark = COLUMNS[column].fingerprint(net)
    wanted = (net, seed, column, epochs)
    if any(row.key == wanted and row.fingerprint == mark for row in load(path)):
        return
    start = time.perf_counter()
    where = emotions.Transferred if net == emotions.NET else Start
    model = COLUMNS[column].make(where(net, seed, epochs))
    seconds = round(time.perf_counter() - start, 1)
    keras.backend.clear_session()
    _, _, x, y = images()
    kernels = "xnnpack" if column.startswith("float") else "int8x"
    outputs = outputs_of(model, x, kernels)
    score = round(accuracy(y).score(outputs, outputs), 2)
    store(path, Result(*wanted, mark, score, seconds))
    print(f"{net} seed {seed} {column}: {score:.2f} % ({seconds:.0f} s)", flush=True)


def shown(path: Path, epochs: int, nets: list[str]) -> str:
    """The tables of the file's results of so many epochs, and what made them, as Markdown."""
    from training.columns import COLUMNS, PAIRS

    rows = [row for row in load(path) if row.epochs == epochs and row.net in nets]
    rows.sort(key=lambda row: nets.index(row.net))
    columns = {name: (column.title, column.against) for name, column in COLUMNS.items()}
    tables = f"{table(rows, columns)}\n\n{differences(rows, PAIRS)}"
    return f"{origin(path)} {epochs} epochs.\n\n{tables}\n"


def print_table(path: Path, epochs: int, nets: list[str], document: Path | None) -> None:
    """Prints it, or puts it between the marks of a document; says how many rows are old."""
    from quality.markdown import into
    from training.columns import COLUMNS

    text = shown(path, epochs, nets)
    if document is None:
        print(text)
    else:
        document.write_text(into(document.read_text(encoding="utf-8"), text), encoding="utf-8")
    rows = load(path)
    old = sum(row.fingerprint != COLUMNS[row.column].fingerprint(row.net) for row in rows)
    print(f"{old} of {len(rows)} results are of older sources", file=sys.stderr)


def print_steps(nets: list[str]) -> None:
    """Milliseconds of a step at batch 64; how many times float's the others take, TFMOT's too."""
    import json

    import keras
    from training.columns import run_tfmot
    from training.steps import int8x_kinds, time_steps

    _head("ms a step")
    for net in nets:
        mine = {name: 1000 * value for name, value in time_steps(keras, int8x_kinds(net)).items()}
        theirs = {n: 1000 * value for n, value in json.loads(run_tfmot("steps", net)).items()}
        _ratios(net, mine, theirs)


def print_memory(nets: list[str]) -> None:
    """MB of a fit at batch 64; how many times float's the others need, TFMOT's too."""
    from training.columns import run_tfmot
    from training.steps import peak_memory

    _head("MB of a fit")
    for net in nets:
        mine = {kind: peak_memory(net, kind) for kind in ("float", "average", "lsq")}
        theirs = {
            kind: float(run_tfmot(net, kind, script="run_tfmot_memory.py"))
            for kind in ("float", "qat")
        }
        _ratios(net, mine, theirs)


def print_agreement(nets: list[str], seeds: list[int], epochs: int) -> None:
    """In percent of 10,000 test images, or of their logits: each net in Keras and its file."""
    from training.agreement import agreement
    from training.start import Start

    for number, (net, seed) in enumerate((net, seed) for net in nets for seed in seeds):
        found = agreement(Start(net, seed, epochs))
        if not number:
            print(f"| % | seed | {' | '.join(found)} |\n" + "|---" * (len(found) + 2) + "|")
        shares = " | ".join(f"{share:.2f}" for share in found.values())
        print(f"| {net} | {seed} | {shares} |", flush=True)


def _head(what: str) -> None:
    print(f"| {what} | float | average | lsq | tf_keras float | TFMOT |\n" + "|---" * 6 + "|")


def _ratios(net: str, mine: dict[str, float], theirs: dict[str, float]) -> None:
    times = [f"{mine[name] / mine['float']:.2f}" for name in ("average", "lsq")]
    peer = f"{theirs['float']:.2f} | {theirs['qat'] / theirs['float']:.2f}"
    print(f"| {net} | {mine['float']:.2f} | {' | '.join(times)} | {peer} |", flush=True)


def arguments() -> argparse.Namespace:
    from training import emotions
    from training.columns import COLUMNS
    from training.nets import NETS

    nets = [*NETS, emotions.NET]
    parser = argparse.ArgumentParser(description="Accuracy and cost of training for int8.")
    parser.add_argument("--nets", nargs="+", metavar="NAME", choices=nets)
    parser.add_argument(
        "--columns", nargs="+", metavar="NAME", choices=COLUMNS, default=list(COLUMNS)
    )
    parser.add_argument("--seeds", nargs="+", metavar="N", type=int, default=list(range(5)))
    parser.add_argument("--epochs", metavar="N", type=int, default=4)
    default = Path(__file__).with_suffix(".json")
    parser.add_argument("--results", metavar="FILE.json", type=Path, default=default)
    parser.add_argument("--table", action="store_true", help="print the results, run nothing")
    parser.add_argument("--into", type=Path, metavar="FILE.md", help="with --table: the document")
    parser.add_argument("--steps", action="store_true", help="time training steps instead")
    parser.add_argument("--memory", action="store_true", help="measure the memory of fits instead")
    parser.add_argument(
        "--agreement", action="store_true", help="compare nets in Keras with their files instead"
    )
    options = parser.parse_args()
    without_fer = options.steps or options.memory or options.agreement
    options.nets = options.nets or (list(NETS) if without_fer else nets)
    return options


def main() -> None:
    options = arguments()
    if options.table:
        print_table(options.results, options.epochs, options.nets, options.into)
    elif options.steps:
        print_steps(options.nets)
    elif options.memory:
        print_memory(options.nets)
    elif options.agreement:
        print_agreement(options.nets, options.seeds, options.epochs)
    else:
        for seed in options.seeds:
            for net in options.nets:
                for column in options.columns:
                    run(net, seed, column, options.epochs, options.results)


if __name__ == "__main__":
    main()
