"""Models damaged at random: the delegate never ends a process that the runtime leaves alive."""

import os
from collections import Counter

import int8x
import numpy as np
from int8x.errors import ModelError
from int8x.runtime import load_runtime, open_interpreter
from operator_cases import CASES
from random_graphs import random_graph

DAMAGED = 500
WORDS = (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 1 << 16, 1 << 24)


def damaged(generator: np.random.Generator, model: bytes) -> bytes:
    """One to three bytes or aligned words of the file overwritten."""
    content = bytearray(model)
    for _ in range(generator.integers(1, 4)):
        if generator.random() < 0.5:
            content[generator.integers(len(content))] = generator.integers(256)
        else:
            start = 4 * int(generator.integers(len(content) // 4))
            content[start : start + 4] = int(generator.choice(WORDS)).to_bytes(4, "little")
    return bytes(content)


def outcome(work) -> str:
    """What became of `work` in a child process.

    "ran", "refused" (ModelError), "failed" (RuntimeError), "wrong" (another error) or the signal.
    """
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        status = 3
        try:
            work()
            status = 0
        except ModelError:
            status = 1
        except RuntimeError:
            status = 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return ("ran", "refused", "failed", "wrong")[os.WEXITSTATUS(status)]


def test_damaged_models_are_refused_or_run():
    generator = np.random.default_rng(77)
    models = [next(generate()).model for generate in CASES.values()]
    models += [random_graph(seed)[0].model for seed in range(5000, 5030)]
    runtime = load_runtime("ai_edge_litert")
    seen = Counter()
    for _ in range(DAMAGED):
        content = damaged(generator, models[generator.integers(len(models))])

        def with_delegate(content=content):
            int8x.Interpreter(content, 2, "ai_edge_litert", resolver="reference").invoke()

        def alone(content=content):
            open_interpreter(runtime, content, 1, "reference").invoke()

        result = outcome(with_delegate)
        seen[result] += 1
        assert result != "wrong"
        assert not result.startswith("signal") or outcome(alone) == result
    assert seen["refused"] > DAMAGED // 4 and seen["ran"] > DAMAGED // 20, seen
