"""Memory between two traces of a step. A graph and what runs it hold each other until Python looks
for such cycles, and where the arrays of one graph lay, those of the next seldom fit: a process
that keeps both is larger by as much as the first one needed.
"""

import ctypes
import gc
import sys


def give_back() -> None:
    """Collects garbage and returns what this process has freed to the system.

    A request: a C library that has no such function changes nothing. Source: malloc_trim(3), glibc
    alone.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(ctypes.c_size_t(0))
