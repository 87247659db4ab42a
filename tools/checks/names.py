"""The grammar of kernel names, over every delegate/kernels/*/kernels.inc."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from checks.tree import Finding, Tree, table_of

ENTRY = re.compile(r"^\s*(INT8X_\w+_KERNEL)\(\s*arch::(\w+)\s*,\s*(\w+)")
NAME = re.compile(
    r"(?P<operation>[a-z]+(_[a-z]+)*)"  # gemm, max_pool
    r"(?P<types>(_[sufx](4|8|16|32|64))+)"  # _s8_s8_s32: operands, then the result
    r"(?P<variant>_[a-z]+)?"
    r"(?P<tile>_\d+(x\d+)*([a-z]+\d*)?)?"  # _4x16x4, _3x3s2
    r"_(?P<arch>[a-z0-9]+)"
)
GRAMMAR = "operation, types, tile, instruction set, as in gemm_s8_s8_s32_4x16x4_avx512vnni"
INSTRUCTION_SETS = "tools/build_rules/instruction_sets.bzl"


def kernel_names(tree: Tree) -> Iterator[Finding]:
    known = {
        name.split("_")[1]: name for name in table_of(tree, INSTRUCTION_SETS, "INSTRUCTION_SETS")
    }
    known["reference"] = "reference"
    for path in tree.matching("delegate/kernels/*/kernels.inc"):
        seen = set()
        for number, line in tree.lines(path):
            if not line.startswith("INT8X_"):
                continue
            entry = ENTRY.match(line)
            if not entry:
                yield Finding(
                    path,
                    number,
                    "wanted INT8X_<FAMILY>_KERNEL(arch::<arch>, <name>, ...) on one line",
                )
                continue
            arch, name = entry.group(2), entry.group(3)
            if name in seen:
                yield Finding(path, number, f"{name} is listed twice")
            seen.add(name)
            yield from (
                Finding(path, number, fault) for fault in _faults(tree, path, name, arch, known)
            )


def _faults(tree: Tree, path: str, name: str, arch: str, known: dict[str, str]) -> Iterator[str]:
    parsed = NAME.fullmatch(name)
    if not parsed:
        yield f"kernel name {name}: wanted {GRAMMAR}"
    elif parsed["arch"] != arch:
        yield f"kernel name {name} ends in {parsed['arch']}, its entry says arch::{arch}"
    if arch not in known:
        yield f"arch::{arch}: no such instruction set ({', '.join(sorted(known))})"
        return
    folder = PurePosixPath(path).parent
    sources = tree.matching(f"{folder}/{known[arch]}.cc", f"{folder}/{known[arch]}_*.cc")
    if not sources:
        yield f"kernel {name}: {folder} has no {known[arch]}.cc"
