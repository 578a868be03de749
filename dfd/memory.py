"""Memory that a process has freed: held on to while the same is asked for again and again, given back after."""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Of mallopt(3), and its largest threshold for a block of its own: where glibc's adapts itself to, until it is set.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
LARGEST, USUAL_BLOCKS = 32 << 20, 65536

_holding = 0  # blocks of `held` that are open, in any thread: the options are the process'
_lock = threading.Lock()


@contextmanager
def held(device: str = "cpu") -> Iterator[None]:
    """Within the block the C library (glibc) keeps all that is freed for what is asked for next; for work on a CPU.

    It would have every block above 32 MiB from the system, page by page, and give it back at once: of a step that moves
    128 MiB of weights that is a quarter of the time. Once the block ends (of several, in one thread or in many, the
    last), memory is given back and kept as is usual.

    Args:
        device: the kind that works; nothing is done for another than a CPU.
    """
    if device != "cpu":
        yield
        return
    _hold(1)
    try:
        yield
    finally:
        _hold(-1)


def _hold(more: int) -> None:
    global _holding
    with _lock:
        _holding += more
        set_option = _of_c_library("mallopt")
        if set_option is None:
            return
        if more > 0 and _holding == 1:
            set_option(MMAP_MAX, 0)
            set_option(TRIM_THRESHOLD, -1)  # never
        elif not _holding:
            set_option(MMAP_MAX, USUAL_BLOCKS)
            set_option(MMAP_THRESHOLD, LARGEST)
            set_option(TRIM_THRESHOLD, 2 * LARGEST)
            give_back()


def give_back() -> None:
    """Give what was freed back to the system, where the C library would keep it (glibc); for after large work.

    A detector's passes over a clip leave some hundred MiB of it, and the next clip may never come.
    """
    trim = _of_c_library("malloc_trim")
    if trim is not None:
        trim(0)


def _of_c_library(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
