"""tools/presubmit: the project passes what needs no other program; each check finds its fault."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path("WORKSPACE").resolve().parent
PRESUBMIT = PROJECT / "tools" / "presubmit"
TABLES = ("tools/build_rules/layers.bzl", "tools/build_rules/instruction_sets.bzl")


def presubmit(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(PRESUBMIT), "--root", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def project(tmp_path):
    """Writes files into a small project of its own and gives its folder."""

    def write(files: dict[str, str]) -> Path:
        for name in TABLES:
            files.setdefault(name, (PROJECT / name).read_text())
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def test_the_project_passes_every_check_that_needs_no_program():
    done = presubmit(PROJECT, "--no-programs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count(" ok\n") == 10


def test_a_small_clean_project_passes(project):
    files = {
        "delegate/kernels/gemm/kernels.inc": "// best first\n"
        "INT8X_GEMM_KERNEL(arch::avx2, gemm_s8_s8_s32_4x8x2_avx2, 4, 8)\n"
        "INT8X_GEMM_KERNEL(arch::reference, gemm_s8_s8_s32_reference, 1, 1)\n",
        "delegate/kernels/gemm/x86_avx2.cc": "#include <immintrin.h>\n"
        '#include "delegate/kernels/gemm/gemm.h"\n',
        "delegate/kernels/gemm/reference.cc": '#include "delegate/fixed_point/requantize.h"\n',
        "delegate/ops/conv_2d.cc": '#include "delegate/plan/plan.h"\n',
        "python/int8x/keras/qat.py": "import keras\n",
        "python/int8x/quantizer.py": "def late():\n    import tensorflow\n",
    }
    done = presubmit(project(files), "--no-programs")
    assert done.returncode == 0, done.stdout + done.stderr


GEMM = "delegate/kernels/gemm/kernels.inc"
REFERENCE = "delegate/kernels/gemm/reference.cc"
FAULTS = {
    "a long file": (
        "file-length",
        {"python/int8x/a.py": "x = 1\n" * 501},
        "python/int8x/a.py:501: ",
    ),
    "a deep folder": ("folder-depth", {"python/int8x/a/b/c.py": ""}, "python/int8x/a/b/c.py:1: "),
    "an empty module name": (
        "empty-names",
        {"python/int8x/utils.py": ""},
        "python/int8x/utils.py:1: ",
    ),
    "an empty folder name": ("empty-names", {"delegate/common/a.h": ""}, "delegate/common/a.h:1: "),
    "a path of one machine": (
        "machine-paths",
        {"tools/a.sh": "cd x\ncat /" + "root/file\n"},
        "tools/a.sh:2: ",
    ),
    "a test that is in no plan": (
        "test-plan",
        {"tests/README.md": "", "tests/new_test.py": ""},
        "tests/new_test.py:1: tests/README.md does not say",
    ),
    "a document that names no real test": (
        "test-plan",
        {"tests/README.md": "", "docs/numerics.md": "\nproven by `gone_test.cc`\n"},
        "docs/numerics.md:2: there is no test gone_test.cc",
    ),
    "a kernel without types": (
        "kernel-names",
        {GEMM: "\nINT8X_GEMM_KERNEL(arch::reference, gemm_reference, 1)\n", REFERENCE: ""},
        f"{GEMM}:2: kernel name gemm_reference: wanted operation, types, tile, instruction set",
    ),
    "a kernel of another arch": (
        "kernel-names",
        {GEMM: "INT8X_GEMM_KERNEL(arch::reference, gemm_s8_s8_s32_neon, 1)\n", REFERENCE: ""},
        f"{GEMM}:1: kernel name gemm_s8_s8_s32_neon ends in neon, its entry says arch::reference",
    ),
    "a kernel without its file": (
        "kernel-names",
        {GEMM: "INT8X_GEMM_KERNEL(arch::avx2, gemm_s8_s8_s32_4x8x4_avx2, 1)\n"},
        f"{GEMM}:1: kernel gemm_s8_s8_s32_4x8x4_avx2: delegate/kernels/gemm has no x86_avx2.cc",
    ),
    "an unknown arch": (
        "kernel-names",
        {GEMM: "INT8X_GEMM_KERNEL(arch::sse9, gemm_s8_s8_s32_1x1x1_sse9, 1)\n"},
        f"{GEMM}:1: arch::sse9: no such instruction set",
    ),
    "a kernel listed twice": (
        "kernel-names",
        {
            GEMM: "INT8X_GEMM_KERNEL(arch::reference, gemm_s8_s8_s32_reference, 1)\n" * 2,
            REFERENCE: "",
        },
        f"{GEMM}:2: gemm_s8_s8_s32_reference is listed twice",
    ),
    "a family that uses another": (
        "cpp-layers",
        {"delegate/kernels/pool/pool.cc": '\n#include "delegate/kernels/gemm/gemm.h"\n'},
        "delegate/kernels/pool/pool.cc:2: delegate/kernels/pool may not use delegate/kernels/gemm",
    ),
    "a layer that looks up": (
        "cpp-layers",
        {"delegate/base/arch.cc": '#include "delegate/plan/plan.h"\n'},
        "delegate/base/arch.cc:1: delegate/base may not use delegate/plan",
    ),
    "a binding of ops": (
        "cpp-layers",
        {"python/int8x/_native.cc": '#include "delegate/ops/operator.h"\n'},
        "python/int8x/_native.cc:1: python/int8x may not use delegate/ops",
    ),
    "a template in a leaf": (
        "leaf-includes",
        {"delegate/kernels/gemm/x86_avx2.cc": "#include <vector>\n"},
        "delegate/kernels/gemm/x86_avx2.cc:1: an instruction-set file may not include vector",
    ),
    "a framework in the core": (
        "python-layers",
        {"python/int8x/graph.py": "try:\n    import tensorflow.lite\nfinally:\n    pass\n"},
        "python/int8x/graph.py:2: tensorflow.lite is imported at the top",
    ),
    "keras that uses torch": (
        "python-layers",
        {"python/int8x/keras/qat.py": "def f():\n    from int8x.torch import convert\n"},
        "python/int8x/keras/qat.py:2: int8x.keras may not import int8x.torch",
    ),
    "a version that no test runs with": (
        "oldest-versions",
        {
            "pyproject.toml": '[project]\ndependencies = ["rich>=13", "numpy>=1.26"]\n'
            'optional-dependencies = {keras = ["keras>=3.8"]}\n',
            "tools/environments/oldest.txt": "rich==13.0.0\nnumpy==1.26.4\nkeras==3.15.1\n",
        },
        "tools/environments/oldest.txt:3: keras: pyproject.toml allows 3.8, this environment has",
    ),
    "a package that uses its tests": (
        "python-layers",
        {"python/int8x/a.py": "import tests.b\n"},
        "python/int8x/a.py:1: the package may not import tests.b",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_check_names_the_place_of(project, fault):
    check, files, wanted = FAULTS[fault]
    done = presubmit(project(dict(files)), check)
    assert done.returncode == 1, done.stderr
    assert len(done.stdout.splitlines()) == 1, done.stdout
    assert done.stdout.startswith(wanted)


def test_an_unknown_check_is_wrong_usage():
    done = presubmit(PROJECT, "spelling")
    assert done.returncode == 2
    assert "no check is called spelling" in done.stderr
