"""Which instruction sets this CPU has, from /proc/cpuinfo: a second opinion beside the delegate's
own detection.
"""

import platform
from pathlib import Path

# Each arch with the /proc/cpuinfo flags it needs.
NEEDED_FLAGS = {
    "x86_64": {
        "reference": set(),
        "avx2": {"avx2", "fma"},
        "avxvnni": {"avx2", "fma", "avx_vnni"},
        "avx512vnni": {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512_vnni"},
        "avx512vbmi": {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512_vnni", "avx512vbmi"},
        "avx512amx": {"avx512_vnni", "amx_tile", "amx_int8"},
    },
    "aarch64": {
        "reference": set(),
        "neon": {"asimd"},
        "neondot": {"asimd", "asimddp"},
        "neoni8mm": {"asimd", "asimddp", "i8mm"},
    },
}
ALL = ("reference", "avx2", "avxvnni", "avx512vnni", "avx512vbmi", "avx512amx")
ALL += ("neon", "neondot", "neoni8mm")


def _flags() -> set[str]:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("flags", "Features")):
            return set(line.split(":", 1)[1].split())
    return set()


def on_this_cpu() -> list[str]:
    """Lowest first."""
    flags = _flags()
    return [
        name for name, needed in NEEDED_FLAGS.get(platform.machine(), {}).items() if needed <= flags
    ]


def not_on_this_cpu() -> list[str]:
    here = on_this_cpu()
    return [name for name in ALL if name not in here]
