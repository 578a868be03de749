"""How long work tells how far it is."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

Progress = Callable[[float, str], None]
"""Called with the fraction done in [0, 1] and what is being done now."""


def silent(fraction: float, message: str) -> None:
    """Tell nobody."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """A progress of its own for the stretch [start, end] of `progress`."""
    return lambda fraction, message: progress(start + (end - start) * fraction, message)


@dataclass(slots=True)
class Printer:
    """Progress with the time left, on one moving line of a terminal, or a line every ten seconds of a log."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    started: float = field(default_factory=time.monotonic)
    first: float | None = None  # fraction at the first call: what was there already took no time
    shown: float = -1e9
    width: int = 0

    def __call__(self, fraction: float, message: str) -> None:
        now = time.monotonic()
        if self.first is None:
            self.first, self.started = fraction, now
        moving = self.stream.isatty()
        if now - self.shown < (0.2 if moving else 10) and fraction < 1:
            return
        self.shown = now
        line = f"[{fraction:4.0%}{self._left(fraction, now)}] {message}"
        self.stream.write(f"\r{line:<{self.width}}" if moving else f"{line}\n")
        self.stream.flush()
        self.width = max(self.width, len(line))

    def done(self) -> None:
        """End the moving line."""
        if self.width and self.stream.isatty():
            self.stream.write("\n")

    def _left(self, fraction: float, now: float) -> str:
        passed, gained = now - self.started, fraction - (self.first or 0.0)
        if passed < 3 or gained < 0.005 or fraction >= 1:
            return ""
        left = passed * (1 - fraction) / gained
        return f", {left / 60:.0f} min left" if left >= 90 else f", {left:.0f} s left"


@contextmanager
def printed() -> Iterator[Printer]:
    """Progress on standard error; its line ends with the block, however that ends."""
    printer = Printer()
    try:
        yield printer
    finally:
        printer.done()
