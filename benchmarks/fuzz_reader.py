"""Damages real .tflite files at random and reads them: how many are refused, how many are read, and
how fast. Nothing but int8x.ModelError may come out, and nothing may hang.

    python benchmarks/fuzz_reader.py MODEL.tflite... [--count 20000] [--seed 1]

Each mutant is made from the printed seed and its number, so that a failure can be made again with
--first. Exit status: 0 all read or refused, 1 something else happened.
"""

import argparse
import faulthandler
import random
import sys
import time
from collections import Counter
from pathlib import Path

from int8x.errors import Int8xError
from int8x.quantization.passes import prepare
from int8x.tflite.graph import Graph

SLOWEST_SECONDS = 20.0  # for files of some megabytes, on a busy machine


def mutate(data: bytes, dice: random.Random) -> bytes:
    """The file with a few bytes, an offset, a stretch or its end changed."""
    mutant = bytearray(data)
    kind = dice.choice(["bytes", "word", "copy", "cut", "remove", "tables"])
    if kind == "bytes":
        for _ in range(dice.choice([1, 2, 8, 64])):
            mutant[dice.randrange(len(mutant))] = dice.randrange(256)
    elif kind == "word":
        words = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, dice.randrange(1 << 32)]
        at = dice.randrange(len(mutant) - 4)
        mutant[at : at + 4] = dice.choice(words).to_bytes(4, "little")
    elif kind == "copy":
        size, source = dice.randrange(256), dice.randrange(len(mutant))
        at = dice.randrange(len(mutant))
        mutant[at : at + size] = data[source : source + size]
    elif kind == "cut":
        del mutant[dice.randrange(len(mutant)) :]
    elif kind == "remove":
        at = dice.randrange(len(mutant))
        del mutant[at : at + dice.randrange(4096)]
    else:  # most of a model is weights; its tables stand at one of its ends
        near = min(len(mutant), 32768)
        for _ in range(dice.choice([1, 3, 10])):
            at = dice.randrange(near)
            at = at if dice.random() < 0.5 else len(mutant) - 1 - at
            mutant[at] = dice.choice([0, 1, 127, 128, 255, dice.randrange(256)])
    return bytes(mutant)


def outcome(data: bytes) -> str:
    """Reads, prepares and writes a file: "read", or the name of int8x's error."""
    try:
        graph = prepare(Graph.from_bytes(data, "mutant"))
        graph.to_bytes()
        graph.fingerprint()
    except Int8xError as error:
        return type(error).__name__
    return "read"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    files = [(path.name, path.read_bytes()) for path in given.models]
    counts: Counter[str] = Counter()
    slowest, started = (0.0, ""), time.monotonic()
    print(f"seed {given.seed}, {given.count} mutants of {len(files)} files", flush=True)
    for number in range(given.first, given.first + given.count):
        dice = random.Random(f"{given.seed}/{number}")
        name, data = dice.choice(files)
        mutant, before = mutate(data, dice), time.monotonic()
        faulthandler.dump_traceback_later(SLOWEST_SECONDS, exit=True)
        try:
            counts[outcome(mutant)] += 1
        except Exception as error:
            print(f"mutant {number} of {name}: {type(error).__name__}: {error}", flush=True)
            counts["FAILED"] += 1
        faulthandler.cancel_dump_traceback_later()
        slowest = max(slowest, (time.monotonic() - before, f"mutant {number} of {name}"))
    seconds = time.monotonic() - started
    print(", ".join(f"{count} {what}" for what, count in counts.most_common()))
    print(
        f"{given.count / seconds:.0f} files a second, the slowest {slowest[0]:.2f} s ({slowest[1]})"
    )
    return 1 if counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
