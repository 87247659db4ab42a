"""Who may use whom, by the #include and import lines (Bazel's visibility holds the C++ too)."""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from checks.tree import Finding, Tree, table_of

LAYERS = "tools/build_rules/layers.bzl"
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
LEAF = re.compile(r"(x86|arm64)_\w+\.cc")
LEAF_MAY_INCLUDE = re.compile(
    r"immintrin\.h|arm_neon\.h|cstdint|cstddef|cstring|climits|delegate/base/(arch|avx512|inline)\.h"
)
HEAVY = frozenset(("tensorflow", "tf_keras", "keras", "torch"))
NEVER = frozenset(("tools", "tests", "benchmarks"))


def _may_use(user: str, allowed: list[str]) -> bool:
    for entry in allowed:
        folder = entry.removesuffix("/...")
        if user == folder or (entry != folder and user.startswith(folder + "/")):
            return True
    return False


def cpp_layers(tree: Tree) -> Iterator[Finding]:
    layers = table_of(tree, LAYERS, "LAYERS")
    layer_of = table_of(tree, LAYERS, "layer_of")
    for path in tree.matching("*.cc", "*.h", "*.inc"):
        folder = str(PurePosixPath(path).parent)
        for number, line in tree.lines(path):
            include = INCLUDE.match(line)
            if not include or not include[1] or not include[1].startswith("delegate/"):
                continue
            used = str(PurePosixPath(include[1]).parent)
            layer = layer_of(used)
            if used == folder or layer is None:
                continue
            if not _may_use(folder, layers[layer]):
                yield Finding(path, number, f"{folder} may not use {used} ({LAYERS} says who may)")


def leaf_includes(tree: Tree) -> Iterator[Finding]:
    """An instruction-set file uses no C++ library template: its copy may be kept for all CPUs."""
    for path in tree.matching("delegate/kernels/*/*.cc"):
        if not LEAF.fullmatch(PurePosixPath(path).name):
            continue
        family = str(PurePosixPath(path).parent) + "/"
        for number, line in tree.lines(path):
            include = INCLUDE.match(line)
            name = (include[1] or include[2]) if include else ""
            if (
                name
                and not LEAF_MAY_INCLUDE.fullmatch(name)
                and not name.startswith((family, "delegate/fixed_point/"))
            ):
                yield Finding(path, number, f"an instruction-set file may not include {name}")


def _imports_at_top(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """What importing the module imports: not what functions import, nor `if TYPE_CHECKING:`."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop(0)
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, node.module or ""
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
        else:
            pending.extend(ast.iter_child_nodes(node))


def _all_imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, node.module or ""


def python_layers(tree: Tree) -> Iterator[Finding]:
    for path in tree.files:
        if not path.startswith("python/int8x/") or not path.endswith(".py"):
            continue
        try:
            module = ast.parse(tree.text(path), path)
        except SyntaxError as error:
            yield Finding(path, error.lineno or 1, f"not Python: {error.msg}")
            continue
        part = path.split("/")[2]
        for number, name in _all_imports(module):
            if name.split(".")[0] in NEVER:
                yield Finding(path, number, f"the package may not import {name}")
            for own, other in (("keras", "int8x.torch"), ("torch", "int8x.keras")):
                if part == own and (name + ".").startswith(other + "."):
                    yield Finding(
                        path,
                        number,
                        f"int8x.{own} may not import {name}: what both need belongs a level up",
                    )
        if part in ("keras", "keras2", "torch"):
            continue
        for number, name in _imports_at_top(module):
            if name.split(".")[0] in HEAVY or (name + ".").startswith(
                ("int8x.keras.", "int8x.keras2.", "int8x.torch.")
            ):
                yield Finding(
                    path,
                    number,
                    f"{name} is imported at the top: import it where it is used",
                )
