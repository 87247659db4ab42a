"""Shape of the tree: length of files, depth of folders, names of modules, paths of one machine."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from checks.tree import Finding, Tree

LONGEST = 500
DEEPEST = 3
SOURCES = (
    "*.py",
    "*.cc",
    "*.h",
    "*.inc",
    "*.c",
    "*.java",
    "*.bzl",
    "*.sh",
    "BUILD",
    "CMakeLists.txt",
)
EXEMPT_FROM_DEPTH = "examples/android/"  # Java's packages are folders
EMPTY_NAMES = frozenset(("utils", "util", "common", "helpers", "helper", "core", "manager", "misc"))
TEST_PLAN = "tests/README.md"
TEST_NAME = re.compile(r"\b\w+_test\.(?:cc|py)\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:work|root|home/\w+|Users/\w+)/")


def file_length(tree: Tree) -> Iterator[Finding]:
    for path in tree.matching(*SOURCES):
        count = sum(1 for _ in tree.lines(path))
        if count > LONGEST:
            yield Finding(
                path, LONGEST + 1, f"a source file has at most {LONGEST} lines, this one {count}"
            )


def folder_depth(tree: Tree) -> Iterator[Finding]:
    for path in tree.files:
        depth = len(PurePosixPath(path).parts) - 1
        if depth > DEEPEST and not path.startswith(EXEMPT_FROM_DEPTH):
            yield Finding(
                path, 1, f"folders are at most {DEEPEST} deep, this file lies {depth} deep"
            )


def empty_names(tree: Tree) -> Iterator[Finding]:
    for path in tree.files:
        parts = PurePosixPath(path).parts
        for name in (*parts[:-1], parts[-1].split(".")[0]):
            if name.strip("_") in EMPTY_NAMES:
                yield Finding(path, 1, f"a name says what a thing does; {name!r} does not")


def machine_paths(tree: Tree) -> Iterator[Finding]:
    for path in tree.files:
        for number, line in tree.lines(path):
            found = MACHINE_PATH.search(line)
            if found:
                yield Finding(path, number, f"{found.group()!r} is a path of one machine")


def test_plan(tree: Tree) -> Iterator[Finding]:
    """The plan names every test, and every test that a document names is there."""
    tests = {PurePosixPath(path).name: path for path in tree.matching("tests/*_test.*")}
    planned = set(TEST_NAME.findall(tree.text(TEST_PLAN))) if TEST_PLAN in tree.files else set()
    for name, path in tests.items():
        if TEST_NAME.fullmatch(name) and name not in planned:
            yield Finding(path, 1, f"{TEST_PLAN} does not say which claim this test proves")
    for path in tree.matching("docs/*.md", TEST_PLAN):
        for number, line in tree.lines(path):
            for name in TEST_NAME.findall(line):
                if name not in tests:
                    yield Finding(path, number, f"there is no test {name}")
