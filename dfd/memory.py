"""Memory that a process has freed: held on to while the same is asked for again and again, given back after."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Of mallopt(3), and its largest threshold for a block of its own: where glibc's adapts itself to, until it is set.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
LARGEST, USUAL_BLOCKS = 32 << 20, 65536


@contextmanager
def held() -> Iterator[None]:
    """Within the block the C library (glibc) keeps all that is freed for what is asked for next; for training on a CPU.

    It would have every block above 32 MiB from the system, page by page, and give it back at once: of a step that moves
    128 MiB of weights that is a quarter of the time. Once the block ends, memory is given back and kept as is usual.
    """
    set_option = _of_c_library("mallopt")
    if set_option is None:
        yield
        return
    set_option(MMAP_MAX, 0)
    set_option(TRIM_THRESHOLD, -1)  # never
    try:
        yield
    finally:
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
