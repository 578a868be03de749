"""So many at a time, first come, first served: what keeps memory bounded when many ask at once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Turns:
    """Lets `at_once` threads of this process work at a time; the others wait in a line and know their place in it."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._line: list[object] = []  # those at work, then those who wait
        self._moved = threading.Condition()

    @contextmanager
    def turn(self, waiting: Callable[[int], None], every: float = 0.3) -> Iterator[None]:
        """Work within the block, when it is one's turn.

        Args:
            waiting: Told every `every` seconds how many must end first. An exception that it raises leaves the line.
            every: Seconds.
        """
        ticket = object()
        with self._moved:
            self._line.append(ticket)
        try:
            while ahead := self._ahead(ticket):
                waiting(ahead)
                with self._moved:
                    self._moved.wait_for(lambda: not self._ahead(ticket), every)
            yield
        finally:
            with self._moved:
                self._line.remove(ticket)
                self._moved.notify_all()

    def _ahead(self, ticket: object) -> int:
        with self._moved:
            return max(0, self._line.index(ticket) - self.at_once + 1)
