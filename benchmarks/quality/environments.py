"""Pinned environments and wheels, made or fetched on first use, in the cache."""

import functools
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

from quality.training import cache_folder

_HERE = Path(__file__).parent
_MAKER = _HERE.parent.parent / "tools" / "environments" / "make.py"

# Photographs, and the reader of Keras 2 files. What they need is in the environment that runs this.
_WHEELS = {"skimage": "scikit-image==0.26.0", "tf_keras": "tf-keras==2.21.0"}


def peer(name: str) -> Path:
    """The folder of the virtual environment of a peer, whose list stands beside this file."""
    return _maker().make(name, _HERE)


def environment(name: str) -> Path:
    """The folder of an environment of tools/environments."""
    return _maker().make(name)


def models(package: str) -> Path:
    """The folder of the models that a package carries."""
    return _maker().make("models") / package


@functools.cache
def _maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_environment", _MAKER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wheel(package: str) -> Path:
    """The folder of a wheel, unpacked, not installed."""
    folder = cache_folder() / "wheels" / _WHEELS[package]
    if folder.exists():
        return folder
    partial = folder.with_name(f"{os.getpid()}-{folder.name}")
    partial.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
    options = ["--no-deps", "--only-binary=:all:", "--dest", str(partial), _WHEELS[package]]
    subprocess.run([*pip, *options], check=True)
    (archive,) = partial.glob("*.whl")
    with zipfile.ZipFile(archive) as file:
        file.extractall(partial)
    archive.unlink()
    os.replace(partial, folder)
    return folder
