"""Forcing an instruction set: the forced one runs, one that this CPU lacks is refused, unknown
names are refused.
"""

import json
import os
import subprocess
import sys
from itertools import islice

import archs
import int8x
import pytest
from exactness import assert_exact, difference, expected_outputs, run
from operator_cases import CASES
from random_graphs import random_graph

pytest_plugins = ("arch_report",)

LADDERS = (
    ("reference", "avx2", "avxvnni", "avx512vnni", "avx512vbmi", "avx512amx"),
    ("reference", "neon", "neondot", "neoni8mm"),
)
# What the GEMM family has a kernel of its own for.
GEMM_ARCHS = ("reference", "avx2", "avxvnni", "avx512vnni", "avx512amx", "neon", "neondot")
# memcpy, the same on every arch
COPY = "copy"

IN_A_SUBPROCESS = """
import json, sys
from itertools import islice
import int8x
from exactness import run
from operator_cases import CASES
cases = [case for generate in CASES.values() for case in islice(generate(), 3)]
result = {"arch": "", "kernels": [], "outputs": []}
for case in cases:
    interpreter = int8x.Interpreter(case.model, 2, "ai_edge_litert", resolver=case.resolver)
    result["arch"] = interpreter.claims.arch
    result["kernels"] += [step.kernel for step in interpreter.claims.steps]
    result["outputs"] += [output.tobytes().hex() for outputs in run(interpreter, case.feeds) for
    output in outputs]
json.dump(result, sys.stdout)
"""


def in_a_subprocess(forced: str) -> subprocess.CompletedProcess:
    path = os.pathsep.join([os.path.dirname(os.path.abspath(__file__)), *sys.path])
    environment = {**os.environ, "INT8X_ARCH": forced, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-c", IN_A_SUBPROCESS], env=environment, capture_output=True, text=True
    )


def rungs(arch: str) -> tuple[str, ...]:
    """The archs whose kernels may run when `arch` is forced."""
    ladder = next(ladder for ladder in LADDERS if arch in ladder)
    return ladder[: ladder.index(arch) + 1]


def may_run(kernel: str, arch: str) -> bool:
    return kernel == COPY or kernel.endswith(tuple(f"_{rung}" for rung in rungs(arch)))


def kernels(arch: str, operator: str) -> set[str]:
    found = set()
    for case in islice(CASES[operator](), 20):
        interpreter = int8x.Interpreter(case.model, options={"arch": arch}, resolver=case.resolver)
        assert interpreter.claims.arch == arch
        found |= {step.kernel for step in interpreter.claims.steps}
    return found


@pytest.mark.parametrize("arch", archs.ALL)
def test_an_arch_is_accepted_exactly_when_the_cpu_has_it(arch):
    case = next(CASES["ADD"]())
    if arch in archs.on_this_cpu():
        assert int8x.Interpreter(case.model, options={"arch": arch}).claims.arch == arch
    else:
        with pytest.raises(
            ValueError, match=f'"{arch}", which this CPU does not have; it has .*reference'
        ):
            int8x.Interpreter(case.model, options={"arch": arch})


def test_auto_takes_the_highest_arch_of_this_cpu():
    case = next(CASES["ADD"]())
    highest = archs.on_this_cpu()[-1]
    assert int8x.Interpreter(case.model).claims.arch == highest
    assert int8x.Interpreter(case.model, options={"arch": "auto"}).claims.arch == highest


@pytest.mark.parametrize("arch", archs.on_this_cpu())
@pytest.mark.parametrize("operator", CASES)
def test_no_kernel_above_the_forced_arch_runs(operator, arch):
    for kernel in kernels(arch, operator):
        assert may_run(kernel, arch), kernel


@pytest.mark.parametrize("arch", [arch for arch in archs.on_this_cpu() if arch in GEMM_ARCHS])
@pytest.mark.parametrize("operator", ["CONV_2D", "FULLY_CONNECTED"])
def test_the_forced_arch_runs(operator, arch):
    assert any(kernel.endswith(f"_{arch}") for kernel in kernels(arch, operator))


@pytest.mark.parametrize("arch", archs.on_this_cpu())
def test_the_environment_variable_forces_an_arch_with_the_same_results(arch):
    process = in_a_subprocess(arch)
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    assert result["arch"] == arch
    for kernel in result["kernels"]:
        assert may_run(kernel, arch), kernel
    cases = [case for generate in CASES.values() for case in islice(generate(), 3)]
    expected = [
        o.tobytes().hex() for case in cases for outs in expected_outputs(case) for o in outs
    ]
    assert result["outputs"] == expected


@pytest.mark.parametrize("forced", ["sse9", "AVX2", "avx2 ", *archs.not_on_this_cpu()])
def test_a_wrong_environment_variable_is_refused_with_words(forced):
    process = in_a_subprocess(forced)
    assert process.returncode != 0
    assert "ValueError" in process.stderr
    assert "INT8X_ARCH" in process.stderr and f'"{forced}"' in process.stderr


@pytest.mark.parametrize("arch", archs.on_this_cpu())
def test_all_operators_and_graphs_equal_the_reference_when_forced(arch):
    for generate in CASES.values():
        assert_exact([case for case in islice(generate(), 12)], arch=arch)
    for seed in range(1000, 1030):
        case, _ = random_graph(seed)
        interpreter = int8x.Interpreter(case.model, 2, options={"arch": arch}, resolver="reference")
        different = difference(expected_outputs(case), run(interpreter, case.feeds))
        assert not different, f"{case.name}: {different}"
