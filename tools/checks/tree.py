"""The files of the project, and what a check says about one of them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Finding(NamedTuple):
    """One fault: where it is and what is wrong with it."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class Tree(NamedTuple):
    """A checkout: its folder and its files, as paths relative to it."""

    root: Path
    files: tuple[str, ...]

    def text(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def lines(self, path: str) -> Iterator[tuple[int, str]]:
        """Numbered from 1."""
        return enumerate(self.text(path).splitlines(), start=1)

    def matching(self, *patterns: str) -> list[str]:
        """The files that match one of the glob patterns, from the right as Path.match does."""
        return [f for f in self.files if any(Path(f).match(pattern) for pattern in patterns)]


def load_tree(root: Path) -> Tree:
    """What git tracks or would track; where there is no git, every file that is not hidden."""
    git = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(git, cwd=root, capture_output=True, text=True)
    if listing.returncode == 0 and (root / ".git").exists():
        names = sorted(set(listing.stdout.split("\0")) - {""})
    else:
        every = (p.relative_to(root) for p in sorted(root.rglob("*")))
        names = [
            str(p) for p in every if not any(part.startswith((".", "bazel-")) for part in p.parts)
        ]
    return Tree(root, tuple(name for name in names if (root / name).is_file()))


def table_of(tree: Tree, path: str, name: str):
    """A constant of a .bzl file, which Python reads as Bazel does."""
    namespace: dict = {"load": lambda *_: None}
    exec(compile(tree.text(path), path, "exec"), namespace)
    return namespace[name]
