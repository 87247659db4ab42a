"""The checks that programs make: clang-format, ruff, mypy."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from checks.tree import Finding, Tree

CLANG_FORMAT = 14
PLACE = re.compile(
    r"^(?: *--> )?(?P<path>[^\s:][^:]*):(?P<line>\d+)(?::\d+)?(?:: ?(?P<message>.*))?$"
)


def _run(tree: Tree, command: list[str], message: str = "") -> Iterator[Finding]:
    """A finding per line of output that names a place, or with `message` one per file.

    A program that fails without naming a place is a finding too.
    """
    done = subprocess.run(command, cwd=tree.root, capture_output=True, text=True)
    found: dict[tuple, Finding] = {}
    for line in (done.stdout + done.stderr).splitlines():
        place = PLACE.match(line)
        if not place or (place["message"] or "").startswith("note:"):
            continue
        path = os.path.relpath(tree.root / place["path"], tree.root)
        finding = Finding(path, int(place["line"]), message or (place["message"] or "").strip())
        found.setdefault((path,) if message else tuple(finding), finding)
    yield from found.values()
    if done.returncode and not found:
        words = (done.stderr or done.stdout).strip()[-500:]
        yield Finding(Path(command[0]).name, 1, f"exit status {done.returncode}: {words}")


def _clang_format() -> str | None:
    """The program of the version whose output .clang-format is held against."""
    for name in (f"clang-format-{CLANG_FORMAT}", "clang-format"):
        program = shutil.which(name)
        if program:
            version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
            if f"version {CLANG_FORMAT}." in version:
                return program
    return None


def clang_format(tree: Tree) -> Iterator[Finding]:
    program = _clang_format()
    files = tree.matching("*.cc", "*.h", "*.inc", "*.c")
    package = f"clang-format-{CLANG_FORMAT}"
    if program is None:
        yield Finding(".clang-format", 1, f"wants {package}: sudo apt-get install {package}")
    elif files:
        message = f"not formatted from here on: {package} -i does it"
        yield from _run(tree, [program, "--dry-run", "-Werror", *files], message)


def _module(tree: Tree, *arguments: str) -> list[str]:
    """The command `python -m ...` in the environment main."""
    make = [sys.executable, str(tree.root / "tools/environments/make.py"), "main"]
    done = subprocess.run(make, stdout=subprocess.PIPE, text=True, check=True)
    folder = done.stdout.strip().split("=", 1)[1]
    return [str(Path(folder) / "bin" / "python"), "-m", *arguments]


def ruff(tree: Tree) -> Iterator[Finding]:
    yield from _run(tree, _module(tree, "ruff", "check", "--no-cache", "--output-format=concise"))


def ruff_format(tree: Tree) -> Iterator[Finding]:
    message = "not formatted from here on: ruff format does it"
    yield from _run(tree, _module(tree, "ruff", "format", "--check", "--no-cache"), message)


def mypy(tree: Tree) -> Iterator[Finding]:
    yield from _run(tree, _module(tree, "mypy", "--no-error-summary", "--cache-dir=/dev/null"))
