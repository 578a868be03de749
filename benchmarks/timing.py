"""How benchmarks take times."""

import time
from collections.abc import Callable


def timed(work: Callable[[], object]) -> float:
    """Seconds of wall-clock time."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
