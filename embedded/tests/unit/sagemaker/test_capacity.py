"""Jobs wait their turn."""

import threading
import time
from collections.abc import Callable

import pytest

from embedded_aws.sagemaker.capacity import Capacity


def wait_for(what: Callable[[], bool]) -> None:
    """Poll until it is so."""
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_no_more_run_at_a_time_than_there_are_places_and_in_the_order_of_asking() -> None:
    capacity = Capacity(2, threading.Condition(threading.RLock()))
    started: list[int] = []
    release = [threading.Event() for _ in range(5)]

    def job(number: int) -> None:
        with capacity.place(waiting=lambda: None, check=lambda: None):
            started.append(number)
            release[number].wait(10)

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=job, args=(number,), daemon=True))
        threads[-1].start()
        wait_for(lambda asked=number + 1: len(started) + len(capacity.queue) == asked)
    wait_for(lambda: len(started) == 2)
    for number in range(5):
        assert len(started) - number <= 2
        release[number].set()
        expected = min(5, number + 3)
        wait_for(lambda expected=expected: len(started) >= expected)
    for thread in threads:
        thread.join(10)
    assert started == [0, 1, 2, 3, 4]
    assert capacity.free == 2


def test_who_has_to_wait_is_told_and_may_leave_off() -> None:
    capacity = Capacity(1, threading.Condition(threading.RLock()))
    told: list[str] = []

    def leave_off() -> None:
        raise InterruptedError

    with capacity.place(waiting=lambda: told.append("first"), check=lambda: None):
        with (
            pytest.raises(InterruptedError),
            capacity.place(waiting=lambda: told.append("second"), check=leave_off),
        ):
            told.append("never")
        assert not capacity.queue
    assert told == ["second"]
    assert capacity.free == 1
