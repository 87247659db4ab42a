"""Runs a case in BUILTIN_REF of ai-edge-litert and in the int8x delegate, and tells how the results
differ.
"""

from collections.abc import Iterable, Sequence

import int8x
import numpy as np
from int8x.runtime.interpreter import load_runtime, open_interpreter
from operator_case import Case

THREADS = (1, 2, 4)
Outputs = list[list[np.ndarray]]


def run(interpreter, feeds: Iterable[Sequence[np.ndarray]]) -> Outputs:
    """One list of outputs per feed. `interpreter` is TFLite's or int8x's, allocated."""
    inputs = [detail["index"] for detail in interpreter.get_input_details()]
    outputs = [detail["index"] for detail in interpreter.get_output_details()]
    results = []
    for feed in feeds:
        for index, value in zip(inputs, feed, strict=True):
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        results.append([interpreter.get_tensor(index) for index in outputs])
    return results


def reference_outputs(
    model: bytes, feeds: Iterable[Sequence[np.ndarray]], resolver: str = "reference"
) -> Outputs:
    return run(open_interpreter(load_runtime("ai_edge_litert"), model, 1, resolver), feeds)


def expected_outputs(case: Case) -> Outputs:
    """What the case's formula says, else what the reference computes."""
    if case.expected is not None:
        return [list(outputs) for outputs in case.expected]
    return reference_outputs(case.model, case.feeds, case.resolver)


def difference(expected: Outputs, actual: Outputs) -> str:
    """Empty when every output of every feed is the same to the bit, else where the first difference
    lies.
    """
    for feed, (wanted_list, got_list) in enumerate(zip(expected, actual, strict=True)):
        for output, (wanted, got) in enumerate(zip(wanted_list, got_list, strict=True)):
            where = f"feed {feed} output {output}"
            if wanted.shape != got.shape or wanted.dtype != got.dtype:
                return f"{where}: wanted {wanted.dtype}{wanted.shape}, got {got.dtype}{got.shape}"
            if wanted.tobytes() == got.tobytes():
                continue
            bits = np.dtype(f"u{wanted.dtype.itemsize}")
            wrong = (
                np.argwhere(wanted.view(bits) != got.view(bits))
                if wanted.ndim
                else np.zeros((1, 0), int)
            )
            first = tuple(int(i) for i in wrong[0])
            values = f"wanted {wanted[first]}, got {got[first]}"
            return f"{where}: {len(wrong)} of {wanted.size} differ, first at {first}: {values}"
    return ""


def fault(case: Case, expected: Outputs, threads: int, **options) -> str:
    """Empty when the delegate claims every node of the case and equals `expected`, else what is
    wrong.
    """
    interpreter = int8x.Interpreter(
        case.model,
        num_threads=threads,
        runtime="ai_edge_litert",
        options=options,
        resolver=case.resolver,
    )
    for node in interpreter.claims.refused:
        return f"{case.name}: {node.op} was not claimed: {node.reason}"
    different = difference(expected, run(interpreter, case.feeds))
    return f"{case.name}, {threads} threads: {different}" if different else ""


def faults(cases: Iterable[Case], **options) -> list[str]:
    """The faults of all cases, the thread count going round through THREADS."""
    found = []
    for number, case in enumerate(cases):
        expected = expected_outputs(case)
        text = fault(case, expected, THREADS[number % len(THREADS)], **options)
        if text:
            found.append(text)
    return found


def assert_exact(cases: Iterable[Case], **options) -> None:
    cases = list(cases)
    found = faults(cases, **options)
    assert not found, f"{len(found)} of {len(cases)} cases are wrong ({options}):\n" + "\n".join(
        found[:8]
    )
