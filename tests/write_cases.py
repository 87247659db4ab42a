"""Writes cases with the outputs that ai-edge-litert's reference gives them, for runtimes that
cannot be installed beside it.

    python write_cases.py cases.npz

The archive holds, for case N: N/name, N/operator, N/resolver, N/model (bytes), and per feed F:
N/F/in/K and N/F/out/K.
"""

import sys

import numpy as np
from exactness import expected_outputs
from operator_case import Case
from operator_cases import CASES
from quantized_cases import quantized_cases, quantized_operators
from random_graphs import random_graph

CASES_PER_OPERATOR = 12
GRAPHS = 40


def cases() -> list[Case]:
    single = [case for generate in CASES.values() for case in generate(CASES_PER_OPERATOR)]
    # tflite-runtime 2.14 has no kernels for INT4 weights, so none that could give them a shape.
    single = [case for case in single if not case.name.endswith("INT4")]
    single += quantized_cases() + quantized_operators()
    return single + [random_graph(seed)[0] for seed in range(4000, 4000 + GRAPHS)]


def write(path: str, written: list[Case]) -> None:
    """Runs the cases and writes the archive."""
    arrays: dict[str, np.ndarray] = {}
    for number, case in enumerate(written):
        arrays[f"{number}/name"] = np.array(case.name)
        arrays[f"{number}/operator"] = np.array(case.operator)
        arrays[f"{number}/resolver"] = np.array(case.resolver)
        arrays[f"{number}/model"] = np.frombuffer(case.model, np.uint8)
        outputs = expected_outputs(case)
        for feed, (inputs, results) in enumerate(zip(case.feeds, outputs, strict=True)):
            arrays.update({f"{number}/{feed}/in/{k}": value for k, value in enumerate(inputs)})
            arrays.update({f"{number}/{feed}/out/{k}": value for k, value in enumerate(results)})
    np.savez(path, **arrays)


if __name__ == "__main__":
    write(sys.argv[1], cases())
