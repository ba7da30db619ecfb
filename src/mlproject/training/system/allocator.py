"""How memory that torch has freed on the CPU goes back to the system.

glibc keeps freed blocks for the next request (man 3 mallopt). Each function does nothing where the
C library is another one.
"""

import ctypes
import sys
from typing import Any

_M_MMAP_THRESHOLD = -3  # malloc.h
_THRESHOLD_BYTES = 128 * 2**10


def trim() -> None:
    """Give back what is free now, so that the free memory of the machine can be read."""
    _call("malloc_trim", 0)


def never_keep_freed_tensors() -> None:
    """Give every tensor but the small ones back as soon as it is freed, from now on.

    By itself glibc raises the size from which it does so up to 32 MB, and the holes between
    aligned blocks below that took 28 % more than the tensors of a training step. Asking the system
    anew for each tensor costs time, so this is for networks that are hard to fit.
    """
    _call("mallopt", _M_MMAP_THRESHOLD, _THRESHOLD_BYTES)


def _call(name: str, *arguments: int) -> None:
    if sys.platform == "linux":
        function: Any = getattr(ctypes.CDLL(None), name, None)
        if function is not None:
            function(*arguments)
