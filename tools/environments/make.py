#!/usr/bin/env python3
"""Makes the named Python environments once and prints where they are.

    make.py            every environment that has a file here
    make.py main       that one

NAME.txt lists the pinned packages of the environment NAME. It is made in
${INT8X_CACHE:-$HOME/.cache/int8x}/environments/NAME-HASH, where HASH covers the pins and this
Python, so a change of either makes a new one. One line goes to stdout: `NAME=FOLDER ...`.
Exit status: 0 done, 1 an environment could not be made.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

PINS = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("INT8X_CACHE") or Path.home() / ".cache" / "int8x") / "environments"


def folder_of(name: str, pins: bytes) -> Path:
    """Where the environment of these pins belongs, for the Python that runs this."""
    python = f"{sys.version} {sys.base_prefix} {os.uname().machine}".encode()
    return CACHE / f"{name}-{hashlib.sha256(python + b'|' + pins).hexdigest()[:16]}"


def install(folder: Path, pins: Path) -> None:
    """A new virtual environment that holds exactly what `pins` names."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, stdout=sys.stderr)
    pip = [folder / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--only-binary=:all:", "--requirement", pins]
    subprocess.run([*pip, "install", *options], check=True, stdout=sys.stderr)
    subprocess.run([*pip, "check"], check=True, stdout=sys.stderr)


def make(name: str) -> Path:
    """The folder of the environment `name`, made if it is not there, by one maker at a time."""
    pins = PINS / f"{name}.txt"
    if not pins.is_file():
        known = ", ".join(sorted(p.stem for p in PINS.glob("*.txt")))
        raise FileNotFoundError(f"environment {name}: no file {pins} (there are: {known})")
    folder = folder_of(name, pins.read_bytes())
    done = folder / "int8x-environment-complete"
    if done.exists():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            print(f"environment {name}: installing into {folder}", file=sys.stderr, flush=True)
            install(folder, pins)
            done.touch()
    return folder


def main() -> int:
    names = sys.argv[1:] or sorted(p.stem for p in PINS.glob("*.txt"))
    try:
        print(" ".join(f"{name}={make(name)}" for name in names))
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"make.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
