"""How freed memory goes back to the system."""

import ctypes
import sys

_M_MMAP_THRESHOLD = -3  # malloc.h
_THRESHOLD_BYTES = 4 * 2**20


def return_freed_memory() -> None:
    """Let large tensors of the CPU go back to the system as soon as they are freed.

    glibc raises the size from which it does so up to 32 MB by itself (man 3 mallopt), and keeps
    holes between smaller ones: 0.7 GB beside a network of 0.34 billion parameters. Asking the
    system for each large tensor costs time, so this is for networks that are hard to fit. Does
    nothing where the C library is another one.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES)
