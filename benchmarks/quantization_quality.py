"""How much int8 costs: int8x's recipes and its peers on the same nets and calibration data.

    python benchmarks/quantization_quality.py [--models NAME ...] [--methods NAME ...]
        [--output FILE.json]
    python benchmarks/quantization_quality.py --markdown FILE.json [--into docs/quantization.md]

Each net is quantized by every method from the same float model and samples; all results run on
other samples, in the same kernels: those of the reference, or int8x's delegate in them, which gives
the same integers (the first sample of each is run in both, and compared). Nets are trained and
wheels fetched on first use, into ${INT8X_CACHE:-$HOME/.cache/int8x}/quality. Rows are written net
by net, and added to those of a file that the same sources made: a run may be cut in pieces.
--markdown prints the tables of docs/quantization.md.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parent))

from quality import fashion, markdown, pretrained, report, result_file, tiny
from quality.case import Case
from quality.measure import KERNELS, float_operators, outputs_of, sqnr
from quality.methods import PEERS, PEERS_16X8, RECIPES, fits, quantized, usual
from quality.report import Row
from rich.console import Console

CASES = {**fashion.CASES, **tiny.CASES, **pretrained.CASES}
METHODS = (*PEERS, *PEERS_16X8, *RECIPES)


def rows_of(case: Case, methods: Sequence[str], kernels: str) -> list[Row]:
    """One row for each method, the float net's first."""
    real = outputs_of(case.model, case.evaluation, "xnnpack")
    score = round(case.task.score(real, real), 3)
    counts = {"calibration": len(case.calibration), "evaluation": len(case.evaluation)}
    rows = [Row(case.name, "float", case.task.name, score, bytes=len(case.model), **counts)]
    for method in (method for method in methods if fits(method, case.name)):
        print(f"{case.name}: {method}", file=sys.stderr, flush=True)
        start = time.perf_counter()
        try:
            model = quantized(case, method)
            seconds = time.perf_counter() - start
            outputs = outputs_of(model, case.evaluation, kernels)
        except Exception as error:  # a peer, or its model, may raise anything; the row says what
            told = re.sub(r"\S*/", "", " ".join(str(error).split()))  # without this machine's paths
            reason = told[-200:] or type(error).__name__
            rows.append(Row(case.name, method, case.task.name, failure=reason, **counts))
            continue
        each = tuple(round(sqnr(*pair), 2) for pair in zip(real, outputs, strict=True))
        rows.append(
            Row(
                case.name,
                method,
                case.task.name,
                round(case.task.score(outputs, real), 3),
                round(sum(each) / len(each), 2),
                each,
                float_operators(model),
                len(model),
                round(seconds, 2),
                **counts,
            )
        )
    return rows


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Int8 accuracy of int8x and its peers.")
    parser.add_argument("--models", nargs="+", metavar="NAME", choices=CASES, default=list(CASES))
    parser.add_argument("--methods", nargs="+", metavar="NAME", choices=METHODS)
    parser.add_argument("--kernels", choices=KERNELS, default="int8x")
    parser.add_argument("--output", type=Path, help="write the rows, or add them, as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE.json", help="print its tables only")
    parser.add_argument("--into", type=Path, help="with --markdown: the document to put them in")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.markdown:
        shown = markdown.tables(result_file.load(options.markdown), list(CASES))
        if options.into:
            text = markdown.into(options.into.read_text(encoding="utf-8"), shown)
            options.into.write_text(text, encoding="utf-8")
        else:
            print(shown, end="")
        return
    if options.output:
        result_file.check(options.output)
    rows: list[Row] = []
    console = Console(width=160)
    for name in options.models:
        found = rows_of(CASES[name](), options.methods or usual(name), options.kernels)
        console.print(report.table(found))
        rows += found
        if options.output:
            result_file.save(options.output, found)
    console.print(report.verdict(rows))


if __name__ == "__main__":
    main()
