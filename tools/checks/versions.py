"""The oldest packages that pyproject.toml allows are those that tests run with."""

import re
from collections.abc import Iterator

import tomllib

from checks.tree import Finding, Tree

PROJECT = "pyproject.toml"
OLDEST = "tools/environments/oldest.txt"
LEAST = re.compile(r"([\w-]+)>=([\d.]+)")
PIN = re.compile(r"([\w-]+)==([\w.]+)")
OTHER = "platform_machine == 'armv7l'"  # has a runtime of its own


def oldest_versions(tree: Tree) -> Iterator[Finding]:
    if OLDEST not in tree.files:
        return
    project = tomllib.loads(tree.text(PROJECT))["project"]
    pins = {}
    for number, line in tree.lines(OLDEST):
        if pin := PIN.match(line):
            pins.setdefault(pin[1], (number, pin[2]))
    wanted = [*project["dependencies"], *project["optional-dependencies"]["keras"]]
    for requirement in wanted:
        least = LEAST.match(requirement)
        if not least or OTHER in requirement:
            continue
        name, version = least.groups()
        number, pinned = pins.get(name, (1, "nothing"))
        if not f"{pinned}.".startswith(f"{version}."):
            yield Finding(
                OLDEST, number, f"{name}: {PROJECT} allows {version}, this environment has {pinned}"
            )
