"""Memory that was freed goes back to the system."""

import ctypes
import sys
import threading

import psutil
import pytest

from dfd.memory import give_back, held

MIB = 2**20
WITH_GLIBC = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None) if sys.platform == "linux" else object(), "malloc_trim"),
    reason="this system's C library keeps nothing that could be given back",
)


def taken(process: psutil.Process) -> int:
    return int(process.memory_info().rss)


@WITH_GLIBC
def test_what_was_freed_is_given_back() -> None:
    process = psutil.Process()
    blocks = [bytes(100_000) for _ in range(2000)]
    last = blocks.pop()  # lies above the others, which the C library therefore keeps
    del blocks
    before = process.memory_info().rss
    give_back()
    assert before - process.memory_info().rss > 100 * MIB
    assert last


@WITH_GLIBC
def test_what_is_freed_is_held_within_the_block_and_given_back_after() -> None:
    process = psutil.Process()
    give_back()
    before = taken(process)
    with held():
        block = bytearray(200 * MIB)
        del block
        assert taken(process) - before > 150 * MIB
    assert taken(process) - before < 50 * MIB
    block = bytearray(200 * MIB)
    del block
    assert taken(process) - before < 50 * MIB, "as is usual again"


@WITH_GLIBC
def test_memory_is_given_back_when_the_block_fails() -> None:
    process = psutil.Process()
    give_back()
    before = taken(process)

    def fail() -> None:
        with held():
            block = bytearray(200 * MIB)
            del block
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert taken(process) - before < 50 * MIB


@WITH_GLIBC
def test_a_block_within_another_or_beside_it_does_not_end_it() -> None:
    process, ended, done = psutil.Process(), threading.Event(), threading.Event()
    give_back()
    before = taken(process)

    def beside() -> None:
        with held():
            ended.wait()
        done.set()

    other = threading.Thread(target=beside)
    with held():
        other.start()
        with held():
            pass
        ended.set()
        done.wait()
        block = bytearray(200 * MIB)
        del block
        assert taken(process) - before > 150 * MIB, "still held"
    other.join()
    assert taken(process) - before < 50 * MIB


@WITH_GLIBC
def test_nothing_is_held_for_another_device() -> None:
    process = psutil.Process()
    give_back()
    before = taken(process)
    with held("cuda"):
        block = bytearray(200 * MIB)
        del block
        assert taken(process) - before < 50 * MIB


def test_other_systems_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail("Windows has no library without a name"))
    give_back()
    with held():
        pass
