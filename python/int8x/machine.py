"""The machine and the versions that a measurement or a calibration belongs to."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

# The CPU features that decide which kernels run, as /proc/cpuinfo spells them.
FEATURES = (
    "avx2",
    "fma",
    "avx_vnni",
    "avx512f",
    "avx512bw",
    "avx512_vnni",
    "amx_int8",
    "asimd",
    "asimddp",
    "i8mm",
)
PACKAGES = ("int8x", "numpy", "ai-edge-litert", "tflite-runtime", "tensorflow", "keras")


def machine() -> dict[str, Any]:
    """CPU model, cores this process may use, features, kernel, frequency governor (None where it
    cannot be read).
    """
    fields = _cpuinfo()
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return {
        "cpu": fields.get("model name")
        or fields.get("Model")
        or platform.processor()
        or platform.machine(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "features": [name for name in FEATURES if name in flags],
        "system": f"{platform.system()} {platform.release()}",
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    }


def versions() -> dict[str, str]:
    """Python and the installed packages that take part in a run."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpuinfo() -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None
