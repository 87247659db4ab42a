"""The file of one run: rows, machine, versions and the sources that made them.

A run may be cut in pieces, net by net: a piece is added only to rows that the same sources made, on
the same kind of machine with the same packages.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import int8x
from int8x.machine import machine, versions
from int8x.tflite.graph import write_file
from quality.report import Row

SCHEMA = "int8x-quality-1"
_HERE = Path(__file__).parent
_NETS = ("networks.py", "architectures.py")
# What of int8x makes a quantized model; a test compares this with what quantize() imports.
QUANTIZING = (
    *("calibration", "methods", "quantization", "runtime", "tflite"),
    *("data.py", "numpy_files.py", "quantizer.py"),
)
# What shows rows does not make them.
_SHOWING = ("report.py", "result_file.py", "markdown.py")


class OtherRun(Exception):
    """A file holds rows that something else made."""


def load(path: Path) -> dict[str, Any]:
    """The document with its rows as Row. Raises ValueError for another schema."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.get("schema") != SCHEMA:
        raise ValueError(f"{path}: schema must be {SCHEMA}, got {document.get('schema')}")
    known = {field.name for field in fields(Row)}
    rows = [{k: v for k, v in row.items() if k in known} for row in document["rows"]]
    document["rows"] = [Row(**{**row, "outputs_db": tuple(row["outputs_db"])}) for row in rows]
    return document


def check(path: Path) -> None:
    """Raises OtherRun when a file is there to which the rows of this run may not be added."""
    if path.exists():
        _merged(load(path), _document([]), path)


def save(path: Path, rows: Sequence[Row]) -> None:
    """Writes the rows; those of a file that is there stay, but for the same net and method."""
    document = _document(rows)
    if path.exists():
        document = _merged(load(path), document, path)
    document["rows"] = [asdict(row) for row in document["rows"]]
    write_file(path, (json.dumps(document, indent=1) + "\n").encode())


def _document(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "machine": machine(),
        "versions": {**versions(), **_peer_versions()},
        "sources": sources(),
        "command": _without_paths(shlex.join(sys.argv)),
        "rows": list(rows),
    }


def _merged(there: dict[str, Any], new: dict[str, Any], path: Path) -> dict[str, Any]:
    for name in ("sources", "machine", "versions"):
        if there[name] != new[name]:
            raise OtherRun(f"{path}: its rows have {name} {there[name]}, this run {new[name]}")
    commands = [*_without_paths(there["command"]).split(" && "), new["command"]]
    rows = {(row.model, row.method): row for row in [*there["rows"], *new["rows"]]}
    command = " && ".join(dict.fromkeys(commands))
    return {**there, "command": command, "rows": list(rows.values())}


def _without_paths(command: str) -> str:
    """Files by their names alone: folders are this machine's."""
    return re.sub(r"[^\s'\"]*/", "", command)


def sources() -> str:
    """A hash of what decides a row: int8x's quantization, the benchmark's nets, data, methods."""
    beside = [_HERE.parent / name for name in (*_NETS, "quantization_quality.py")]
    package = Path(int8x.__file__).parent
    parts = [package / name for name in QUANTIZING]
    mine = [path for part in parts for path in ([part] if part.is_file() else part.rglob("*.py"))]
    files = [*mine, *_HERE.glob("*.*"), *beside]
    digest = hashlib.sha256()
    for path in sorted(path for path in files if path.name not in _SHOWING):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _peer_versions() -> dict[str, str]:
    """Those that versions() does not name: of the peers."""
    (line,) = [
        line
        for line in (_HERE / "litert_quantizer.txt").read_text(encoding="utf-8").splitlines()
        if line.startswith("litert-quantizer==")
    ]
    found = {"litert-quantizer": line.partition("==")[2]}
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        found["tensorflow"] = importlib.metadata.version("tensorflow-cpu")
    return found
