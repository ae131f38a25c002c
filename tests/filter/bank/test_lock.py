"""The shared lock: readers together, a writer alone, and no writer waits for ever."""

from __future__ import annotations

import threading

from sfumato.filter.bank.lock import SharedLock


def test_readers_enter_together() -> None:
    lock = SharedLock()
    both = threading.Barrier(2, timeout=10)

    def read() -> None:
        with lock.reading():
            both.wait()

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(10)
    assert not both.broken


def test_a_writer_is_alone_and_goes_before_new_readers() -> None:
    lock = SharedLock()
    order: list[str] = []
    reading = threading.Event()
    leave = threading.Event()

    def first() -> None:
        with lock.reading():
            reading.set()
            leave.wait(10)
            order.append("first reader")

    def write() -> None:
        with lock.writing():
            order.append("writer")

    def second() -> None:
        with lock.reading():
            order.append("second reader")

    threads = [threading.Thread(target=first), threading.Thread(target=write)]
    threads[0].start()
    reading.wait(10)
    threads[1].start()
    while not lock._writers_waiting:
        pass
    threads.append(threading.Thread(target=second))
    threads[2].start()
    leave.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first reader", "writer", "second reader"]


def test_an_error_inside_gives_the_lock_back() -> None:
    lock = SharedLock()
    for enter in (lock.reading, lock.writing):
        try:
            with enter():
                raise KeyError
        except KeyError:
            pass
    with lock.writing():
        pass
