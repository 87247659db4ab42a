"""Which code made a result: what of it can change a number, and no more."""

import ast
import functools
import hashlib
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[2] / "python"


def fingerprint(make: Callable[..., Any], paths: Iterable[Path]) -> str:
    """One for a function, with the arguments that a partial gives it, and for files: for what they
    do. Comments, docstrings, layout and the words of errors and warnings do not count.
    """
    digest = hashlib.sha256()
    bound = make if isinstance(make, functools.partial) else functools.partial(make)
    digest.update(_code(inspect.getsource(bound.func)).encode())
    digest.update(repr(sorted(bound.keywords.items())).encode())
    for path in sorted(paths):
        digest.update(f"{path.name} {_code(path.read_text(encoding='utf-8'))}".encode())
    return digest.hexdigest()[:12]


def imported(*names: str) -> frozenset[Path]:
    """The files of modules of int8x, by their dotted names, and of all that they import of it, at
    the top or later.
    """
    found: dict[str, Path] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        path = _path(name)
        if path is None or name in found:
            continue
        found[name] = path
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules = [f"{node.module}.{alias.name}" for alias in node.names]
                modules = [module for module in modules if _path(module)]
                waiting += modules or [node.module]
    return frozenset(found.values())


def _path(name: str) -> Path | None:
    """The file of a module of int8x; None for another package's, for a name in a module, and for
    `int8x` itself, which imports what is asked of it.
    """
    if not name.startswith("int8x."):
        return None
    path = PACKAGE / name.replace(".", "/")
    if path.is_dir():
        return path / "__init__.py"
    path = path.with_suffix(".py")
    return path if path.exists() else None


def _code(text: str) -> str:
    tree = ast.parse(inspect.cleandoc(text) if text[:1].isspace() else text)
    for node in ast.walk(tree):
        told = node.exc if isinstance(node, ast.Raise) else node
        if isinstance(told, ast.Call) and (told is not node or _warns(told)):
            told.args, told.keywords = [], []
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.dump(tree)


def _warns(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "warn"
