"""Random models in the delegate and in the reference kernels, bit for bit, for as long as wanted.

    python benchmarks/fuzz.py [--minutes 10] [--start 1000]

In turn: a random small graph (chains, residuals, concatenations, operators that are not claimed),
and a one-operator model of each operator in int8 and in 16x8, with scales, shapes and values
chosen to hurt; what the runtime itself refuses is left out. Instruction sets and thread counts go
round. The generators are the tests' own; the tests run their first seeds, this goes on from
--start. Prints graphs run and operators covered; stops at the first difference with the name of the
case, which holds its seed. Exit status: 0 no difference, 1 a difference.
"""

import argparse
import faulthandler
import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import archs
import int8x
from cases_wide import MAKERS as WIDE
from cases_wide import wide_cases
from draws import Draw
from exactness import THREADS, difference, expected_outputs, reference_outputs, run
from operator_case import Case
from operator_cases import CASES
from random_graphs import random_graph
from rich.console import Console
from rich.progress import Progress, TimeRemainingColumn
from rich.table import Table

ENDLESS = 10**9


def graphs() -> Iterator[tuple[Case, list[str]]]:
    for seed in itertools.count():
        yield random_graph(seed)


def single(cases: Iterator[Case], name: str) -> Iterator[tuple[Case, list[str]]]:
    for case in cases:
        yield case, [name]


def sources() -> list[Iterator[tuple[Case, list[str]]]]:
    operators = [single(CASES[name](ENDLESS), name) for name in CASES]
    wide = [single(wide_cases(name, ENDLESS), f"{name} 16x8") for name in WIDE]
    # As many graphs as single operators.
    return [graphs()] * (len(operators) + len(wide)) + operators + wide


def fault(case: Case, arch: str, threads: int) -> str:
    """Empty when the delegate equals what is expected."""
    interpreter = int8x.Interpreter(
        case.model, threads, "ai_edge_litert", {"arch": arch}, resolver=case.resolver
    )
    return difference(expected_outputs(case), run(interpreter, case.feeds))


def refused(case: Case) -> bool:
    """Whether the runtime refuses the model without the delegate too: scales drawn to hurt may."""
    try:
        reference_outputs(case.model, case.feeds, case.resolver)
    except int8x.ModelError:
        return True
    return False


def table(covered: Counter, ran: Counter, models: int, minutes: float) -> Table:
    title = f"{models} models in {minutes:.1f} minutes, all equal to the reference"
    shown = Table("operator", "models", title=title, title_justify="left")
    for name, count in sorted(covered.items()):
        shown.add_row(name, str(count))
    shown.add_section()
    for arch, count in ran.items():
        shown.add_row(f"arch {arch}", str(count))
    return shown


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="how long (default 10)")
    parser.add_argument("--start", type=int, default=1000, help="first seed (default 1000)")
    arguments = parser.parse_args()
    if arguments.minutes <= 0 or arguments.start < 0:
        parser.error("--minutes must be above 0 and --start not below 0")
    faulthandler.enable()
    Draw.shift = arguments.start
    console = Console()
    forced = ["auto", *archs.on_this_cpu()]
    covered: Counter = Counter()
    ran: Counter = Counter()
    began = time.monotonic()
    models = 0
    try:
        with Progress(*Progress.get_default_columns()[:2], TimeRemainingColumn()) as progress:
            task = progress.add_task("fuzzing", total=60 * arguments.minutes)
            for source in itertools.cycle(sources()):
                case, operators = next(source)
                arch, threads = forced[models % len(forced)], THREADS[models % len(THREADS)]
                try:
                    wrong = fault(case, arch, threads)
                except int8x.ModelError:
                    if not refused(case):
                        raise
                    continue
                if wrong:
                    console.print(f"{case.name}, arch {arch}, {threads} threads: {wrong}")
                    return 1
                models += 1
                ran[arch] += 1
                covered.update(set(operators))
                spent = time.monotonic() - began
                progress.update(task, completed=spent, description=f"{models} models")
                if spent >= 60 * arguments.minutes:
                    break
    except KeyboardInterrupt:
        console.print("stopped early")
    console.print(table(covered, ran, models, (time.monotonic() - began) / 60))
    return 0


if __name__ == "__main__":
    sys.exit(main())
