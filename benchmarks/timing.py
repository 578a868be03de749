"""How benchmarks take times, and print them."""

import json
import statistics
import time
from collections.abc import Callable, Sequence


def timed(work: Callable[[], object]) -> float:
    """Seconds of wall-clock time."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def line(name: str, values: Sequence[float], unit: str = "s") -> str:
    """A row of a table: median, and least to most where there are several."""
    spread = f"  ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    return f"{name:<44}{statistics.median(values):9.2f} {unit}{spread}"


def ratio(what: str, values: Sequence[float], limit: float) -> float:
    """Print ratios beside their limit, in words and as JSON; returns their median."""
    print(line(f"{what} (limit {limit})", values, "times"))
    facts = {"ratio": statistics.median(values), "limit": limit, "low": min(values), "high": max(values)}
    print(json.dumps({name: round(value, 3) for name, value in facts.items()}))
    return statistics.median(values)
