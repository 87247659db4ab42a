"""Results, kept one by one in a file, and the table made of them."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from int8x.machine import machine, versions
from int8x.tflite.graph import write_file

SCHEMA = "int8x-training-1"


@dataclass(frozen=True)
class Result:
    """The accuracy, in percent of 10,000 test images, of one net, seed and column; `fingerprint`
    is that of the sources that made it, seconds what it took.
    """

    net: str
    seed: int
    column: str
    epochs: int
    fingerprint: str
    accuracy: float
    seconds: float

    @property
    def key(self) -> tuple[str, int, str, int]:
        """What a newer result replaces."""
        return (self.net, self.seed, self.column, self.epochs)


def load(path: Path) -> list[Result]:
    """The results of a file; none when there is no file."""
    if not path.exists():
        return []
    return [Result(**row) for row in json.loads(path.read_text())["rows"]]


def store(path: Path, result: Result) -> None:
    """Adds a result to a file, in the place of an older one of its kind."""
    rows = [row for row in load(path) if row.key != result.key] + [result]
    document = {
        "schema": SCHEMA,
        "machine": machine(),
        "versions": versions(),
        "rows": [asdict(row) for row in sorted(rows, key=lambda row: row.key)],
    }
    write_file(path, (json.dumps(document, indent=1) + "\n").encode())


def origin(path: Path) -> str:
    """The machine and the packages that made a file, as a sentence."""
    document = json.loads(path.read_text())
    packages = ("tensorflow", "keras", "ai-edge-litert")
    found = document["versions"]
    named = [f"{name} {found[name]}" for name in packages if name in found]
    return f"{document['machine']['cpu']}; {', '.join(named)}."


def table(results: Iterable[Result], columns: dict[str, tuple[str, str]]) -> str:
    """Markdown: a line for each column, a pair of cells for each net: the mean with its spread (the
    standard deviation over seeds), and the mean difference from the float column that trained alike
    over the seeds that both have, with its standard error. columns: title and float column by name.
    """
    found = {(r.net, r.column, r.seed): r.accuracy for r in results}
    nets = list(dict.fromkeys(net for net, _, _ in found))
    lines = ["| | " + " | ".join(f"{net} | - float" for net in nets) + " |"]
    lines.append("|---" * (1 + 2 * len(nets)) + "|")
    for column, (title, against) in columns.items():
        cells = []
        for net in nets:
            mine = [a for (n, c, _), a in found.items() if (n, c) == (net, column)]
            cells += [_spread(mine), _error(_paired(found, net, column, against))]
        if any(cells):
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def differences(results: Iterable[Result], pairs: dict[str, tuple[str, str]]) -> str:
    """Markdown: a line for each pair of columns, a cell for each net: the mean difference, first
    less second, over the seeds that both have, with its standard error. pairs: columns by title.
    """
    found = {(r.net, r.column, r.seed): r.accuracy for r in results}
    nets = list(dict.fromkeys(net for net, _, _ in found))
    lines = ["| | " + " | ".join(nets) + " |", "|---" * (1 + len(nets)) + "|"]
    for title, (column, against) in pairs.items():
        cells = [_error(_paired(found, net, column, against)) for net in nets]
        if any(cells):
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _paired(
    found: dict[tuple[str, str, int], float], net: str, column: str, against: str
) -> list[float]:
    mine = {s: a for (n, c, s), a in found.items() if (n, c) == (net, column)}
    real = {s: a for (n, c, s), a in found.items() if (n, c) == (net, against)}
    return [mine[seed] - real[seed] for seed in mine if seed in real]


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.2f} (1)" if values else ""
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f} ({len(values)})"


def _error(differences: list[float]) -> str:
    if len(differences) < 2:
        return f"{differences[0]:+.2f}" if differences else ""
    error = statistics.stdev(differences) / len(differences) ** 0.5
    return f"{statistics.mean(differences):+.2f} ± {error:.2f}"
