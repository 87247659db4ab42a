"""Large pages for memory that is about to be written: activations of many megabytes are read and
written once a sample, which misses the translation of their addresses as often as their values.
"""

import ctypes
import mmap
from collections.abc import Iterable

import numpy as np

_WORTHWHILE = 1 << 16  # bytes


def advise(arrays: Iterable[np.ndarray]) -> None:
    """Asks the system for huge pages where the arrays lie. A hint: a system that has none, or does
    not give them, changes nothing. Source: madvise(2), MADV_HUGEPAGE; Linux alone.
    """
    advice = getattr(mmap, "MADV_HUGEPAGE", None)
    if advice is None:
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for array in arrays:
        if array.nbytes >= _WORTHWHILE:
            begin = array.ctypes.data // mmap.PAGESIZE * mmap.PAGESIZE
            madvise(begin, array.ctypes.data + array.nbytes - begin, advice)
