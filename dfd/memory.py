"""Memory that a process has freed, and holds on to."""

import ctypes
import sys


def give_back() -> None:
    """Give what was freed back to the system, where the C library would keep it (glibc); for after large work.

    A detector's passes over a clip leave some hundred MiB of it, and the next clip may never come.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
