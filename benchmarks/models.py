"""Times whole networks in int8x, XNNPACK and the stock kernels, in turn in one run.

    python benchmarks/models.py [--models NAME ...] [--threads 1 2] [--rounds 30] [--output
    FILE.json]

Networks are built from Keras once and kept in the cache folder; without --models the standard ones
are timed.
"""

import argparse
import hashlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import layer_networks
import networks
import wide_networks
from int8x import benchmark_tables, benchmarking
from int8x.progress import bar

SOURCES = (networks, layer_networks, wide_networks)
NETWORKS = {name: network for source in SOURCES for name, network in source.NETWORKS.items()}


def default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "int8x" / "networks"


def model_file(name: str, cache: Path) -> Path:
    """The network's .tflite, built on first use and again when what builds it has changed."""
    source = next(source for source in SOURCES if name in source.NETWORKS)
    recipe = Path(networks.__file__).read_bytes()
    if source is not networks:
        recipe += Path(source.__file__).read_bytes()
    path = cache / hashlib.sha256(recipe).hexdigest()[:12] / f"{name}.tflite"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(source.build(NETWORKS[name]))
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
    for name in names:
        path = model_file(name, options.cache)
        for threads in options.threads:
            rows += benchmarking.compare(
                path, options.runners, threads, options.rounds, progress=bar
            )
    benchmark_tables.show(benchmark_tables.medians(rows))
    if options.output:
        benchmarking.save(options.output, rows)
        print(f"written: {options.output}")


if __name__ == "__main__":
    main()
