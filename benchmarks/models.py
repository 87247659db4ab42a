"""Times whole networks in int8x, XNNPACK and the stock kernels, in turn in one run.

    python benchmarks/models.py [--models NAME ...] [--threads 1 2] [--rounds 30] [--output
    FILE.json]

Networks are built from Keras once and kept in the cache folder; without --models the standard ones
are timed.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from int8x import benchmarking
from networks import NETWORKS, build
from rich.console import Console
from rich.progress import Progress


def default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "int8x" / "networks"


def model_file(name: str, cache: Path) -> Path:
    """The network's .tflite, built on first use."""
    path = cache / f"{name}.tflite"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(build(NETWORKS[name]))
        os.replace(partial, path)
    return path


def arguments() -> argparse.Namespace:
    standard = [name for name, network in NETWORKS.items() if network.standard]
    parser = argparse.ArgumentParser(description="Times networks in int8x and its peers, in turn.")
    parser.add_argument(
        "--models", nargs="+", metavar="NAME", choices=[*NETWORKS, "all"], default=standard
    )
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=30, help="turns of each runner")
    parser.add_argument(
        "--runners", nargs="+", choices=benchmarking.RUNNERS, default=["int8x", "xnnpack", "stock"]
    )
    parser.add_argument("--output", type=Path, help="write the rows and the machine as JSON")
    parser.add_argument(
        "--cache", type=Path, default=default_cache(), help="folder of the built networks"
    )
    return parser.parse_args()


def main() -> None:
    options = arguments()
    names = list(NETWORKS) if "all" in options.models else options.models
    rows: list[benchmarking.Row] = []
    console = Console()
    with Progress(console=console, transient=True) as progress:
        for name in names:
            task = progress.add_task(f"{name}: build", total=None)
            path = model_file(name, options.cache)
            for threads in options.threads:
                progress.update(
                    task,
                    description=f"{name}: {threads} threads",
                    total=options.rounds,
                    completed=0,
                )
                rows += benchmarking.compare(
                    path,
                    options.runners,
                    threads,
                    options.rounds,
                    progress=lambda _, done, total, task=task: progress.update(
                        task, completed=done
                    ),
                )
            progress.remove_task(task)
    console.print(benchmarking.table(rows))
    if options.output:
        benchmarking.save(options.output, rows)
        console.print(f"written: {options.output}")


if __name__ == "__main__":
    main()
