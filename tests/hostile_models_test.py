"""Models damaged at random: the delegate never ends a process that the runtime leaves alive."""

import os
from collections import Counter

import int8x
import numpy as np
from int8x.errors import ModelError
from int8x.runtime.interpreter import load_runtime, open_interpreter
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


def outcome(work) -> tuple[str, bool]:
    """What became of `work` in a child process, and whether a delegate had claimed an operator.

    "ran", "refused" (ModelError), "failed" (RuntimeError), "wrong" (another error) or the signal.
    `work` is called with a function to call once it knows of claims; until then one is assumed.
    """
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        status = 3
        try:
            work(lambda claims: os.write(write_end, bytes([claims])))
            status = 0
        except ModelError:
            status = 1
        except RuntimeError:
            status = 2
        finally:
            os._exit(status)
    os.close(write_end)
    _, status = os.waitpid(child, 0)
    with os.fdopen(read_end, "rb") as told:
        claims = told.read(1) != b"\0"
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}", claims
    return ("ran", "refused", "failed", "wrong")[os.WEXITSTATUS(status)], claims


def test_damaged_models_are_refused_or_run():
    """A death is the delegate's unless it had claimed nothing or the runtime dies without it, too.

    The reference kernels write past tensors whose types a damaged file contradicts; which death
    follows, if any, is up to the heap.
    """
    generator = np.random.default_rng(77)
    models = [next(generate()).model for generate in CASES.values()]
    models += [random_graph(seed)[0].model for seed in range(5000, 5030)]
    runtime = load_runtime("ai_edge_litert")
    seen = Counter()
    for number in range(DAMAGED):
        content = damaged(generator, models[generator.integers(len(models))])

        def with_delegate(claims, content=content):
            interpreter = int8x.Interpreter(content, 2, "ai_edge_litert", resolver="reference")
            claims(interpreter.claims.claimed_ops > 0)
            interpreter.invoke()

        def alone(claims, content=content):
            open_interpreter(runtime, content, 1, "reference").invoke()

        result, claims = outcome(with_delegate)
        seen[result] += 1
        assert result != "wrong", number
        if result.startswith("signal") and claims:
            deaths = (outcome(alone)[0].startswith("signal") for _ in range(5))
            assert any(deaths), (number, result)
    assert seen["refused"] > DAMAGED // 4 and seen["ran"] > DAMAGED // 20, seen
