"""The shared lock: readers together, a writer alone, and no writer waits for ever."""

from __future__ import annotations

import threading

import pytest

from sfumato.filter.bank.lock import SharedLock
from tests.waiting import PATIENCE, wait_until


def test_readers_enter_together() -> None:
    lock = SharedLock()
    both = threading.Barrier(2, timeout=PATIENCE)

    def read() -> None:
        with lock.reading():
            both.wait()

    readers = [threading.Thread(target=read, daemon=True) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(PATIENCE)
    assert not both.broken


def test_a_writer_is_alone_and_goes_before_new_readers() -> None:
    lock = SharedLock()
    order: list[str] = []
    reading = threading.Event()
    leave = threading.Event()

    def first() -> None:
        with lock.reading():
            reading.set()
            leave.wait(PATIENCE)
            order.append("first reader")

    def write() -> None:
        with lock.writing():
            order.append("writer")

    def second() -> None:
        with lock.reading():
            order.append("second reader")

    threads = [threading.Thread(target=run, daemon=True) for run in (first, write)]
    threads[0].start()
    assert reading.wait(PATIENCE)
    threads[1].start()
    wait_until(lambda: bool(lock.writers_waiting))
    threads.append(threading.Thread(target=second, daemon=True))
    threads[2].start()
    leave.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert order == ["first reader", "writer", "second reader"]


@pytest.mark.parametrize("failing", ["reading", "writing"])
@pytest.mark.parametrize("following", ["reading", "writing"])
def test_an_error_inside_gives_the_lock_back(failing: str, following: str) -> None:
    lock = SharedLock()
    with pytest.raises(KeyError), getattr(lock, failing)():
        raise KeyError
    entered = threading.Event()

    def enter() -> None:
        with getattr(lock, following)():
            entered.set()

    threading.Thread(target=enter, daemon=True).start()
    assert entered.wait(PATIENCE)
