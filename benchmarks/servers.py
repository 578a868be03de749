"""Servers that a benchmark or a test starts for itself: on a free port, waited for, and ended with all they started."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

STARTS_WITHIN = 240  # s; a machine that does much else is slow to import
ENDS_WITHIN = 60  # s


def free_port() -> int:
    """A port of this machine that nobody listens on at the moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(command: list[str], health: str, log: Path | None, environment: dict[str, str], cwd: Path) -> Iterator[int]:
    """A server, from its first good answer at the address `health`: its process id. `log` takes what it says.

    Raises RuntimeError, with the log, when it ends or has not answered within `STARTS_WITHIN` seconds.
    """
    with open(log or os.devnull, "w") as said:  # no pipe: nobody reads it, and a full one would stop the server
        server = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, cwd=cwd, env=environment, start_new_session=True
        )
    try:
        deadline = time.monotonic() + STARTS_WITHIN
        while not answers(health):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start: {log.read_text() if log else 'no log was kept'}")
            time.sleep(0.2)
        yield server.pid
    finally:
        _end(server)


def answers(address: str) -> bool:
    """Whether a server that may still be starting says that it is well."""
    try:
        with urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False


def _end(server: subprocess.Popen[bytes]) -> None:
    """First asked, then made to: a server that hangs must not hang who started it."""
    with suppress(ProcessLookupError):  # it has ended by itself, and why is what is to be told
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
