"""What an operator costs beside its work, and what the delegate costs an interpreter.

    python benchmarks/overhead.py [--rounds 60] [--operators 64]

Times a graph of one FULLY_CONNECTED of 8 x 8 and a chain of many, one thread, the runners in turn.
A chain's time less that of one operator, over the operators between, is what each costs: its 64
products included, which are a few nanoseconds. The first line's difference to the stock kernels is
what the delegate adds to one `interpreter.invoke`.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from int8x import benchmarking
from networks import Network, build

RUNNERS = ("int8x", "xnnpack", "stock")
WIDTH = 8


def chain(operators: int) -> bytes:
    """The int8 .tflite of `operators` dense layers of 8 units, one after the other."""
    import keras

    def model() -> keras.Model:
        x = inputs = keras.Input((WIDTH,), batch_size=1)
        for _ in range(operators):
            x = keras.layers.Dense(WIDTH)(x)
        return keras.Model(inputs, x)

    return build(Network(f"chain_{operators}", (WIDTH,), model))


def main() -> None:
    parser = argparse.ArgumentParser(description="Prints what operators and the delegate cost.")
    parser.add_argument("--rounds", type=int, default=60, help="turns of each runner")
    parser.add_argument("--operators", type=int, default=64, help="length of the chain, above 1")
    options = parser.parse_args()
    times = {}
    for count in (1, options.operators):
        rows = benchmarking.compare(
            chain(count), RUNNERS, rounds=options.rounds, name=f"chain_{count}"
        )
        times[count] = {row.runner: row.median_ms * 1e6 for row in rows}
    for runner in RUNNERS:
        one, many = times[1][runner], times[options.operators][runner]
        each = (many - one) / (options.operators - 1)
        added = one - times[1]["stock"]
        print(
            f"{runner:8} one operator {one:7.0f} ns ({added:+6.0f} beside stock), "
            f"each of {options.operators} {each:6.1f} ns"
        )


if __name__ == "__main__":
    main()
