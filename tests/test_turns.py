"""Who works when many ask at once."""

import threading
import time

import pytest

from dfd.turns import Turns


def waits(turns: Turns, count: int) -> None:
    """Until so many stand in the line."""
    deadline = time.monotonic() + 20
    while len(turns._line) < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_twenty_come_and_two_work_at_a_time_in_the_order_they_came() -> None:
    turns, lock = Turns(2), threading.Lock()
    at_work, most, order, told = 0, 0, [], set()

    def work(number: int) -> None:
        nonlocal at_work, most
        with turns.turn(told.add, every=0.01):
            with lock:
                at_work, most = at_work + 1, max(most, at_work + 1)
                order.append(number)
            time.sleep(0.02)
            with lock:
                at_work -= 1

    threads = []
    with turns.turn(told.add), turns.turn(told.add):
        for number in range(20):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            waits(turns, number + 3)
        assert order == [], "both places are taken"
    for thread in threads:
        thread.join()
    assert most == 2
    assert sorted(order) == list(range(20))
    assert all(abs(place - number) <= 1 for place, number in enumerate(order)), "two that start together may cross"
    assert {1, 20} <= told, "the first in the line waits for one, the last for twenty"
    assert turns._line == []


def test_who_leaves_the_line_lets_the_next_one_in() -> None:
    turns = Turns(1)
    seen: list[int] = []

    def give_up(ahead: int) -> None:
        seen.append(ahead)
        raise KeyboardInterrupt

    with turns.turn(seen.append):
        with pytest.raises(KeyboardInterrupt), turns.turn(give_up):
            pytest.fail("it had no turn")
        assert seen == [1]
    with turns.turn(give_up):
        pass  # nobody is before it
    with pytest.raises(ZeroDivisionError), turns.turn(give_up):
        _ = 1 / 0
    with turns.turn(give_up):
        pass  # a failure gave its place back
