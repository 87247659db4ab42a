"""Silence for C++ libraries, which write past Python to the process's standard error."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Within, what is written to file descriptor 2 is dropped; exceptions come through.

    >>> with quiet_stderr():
    ...     converter.convert()
    """
    saved = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
