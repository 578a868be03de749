"""Memory that was freed goes back to the system."""

import ctypes
import sys

import psutil
import pytest

from dfd.memory import give_back

MIB = 2**20


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None) if sys.platform == "linux" else object(), "malloc_trim"),
    reason="this system's C library keeps nothing that could be given back",
)
def test_what_was_freed_is_given_back() -> None:
    process = psutil.Process()
    blocks = [bytes(100_000) for _ in range(2000)]
    last = blocks.pop()  # lies above the others, which the C library therefore keeps
    del blocks
    before = process.memory_info().rss
    give_back()
    assert before - process.memory_info().rss > 100 * MIB
    assert last


def test_other_systems_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail("Windows has no library without a name"))
    give_back()
