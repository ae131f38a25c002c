"""What waits together is taken together, in order, by a few threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sfumato.errors import ServiceError
from sfumato.serve.waiting.groups import Groups
from tests.waiting import PATIENCE


def test_one_at_a_time_goes_alone_and_many_go_together_in_order() -> None:
    taken: list[list[int]] = []
    runs, go = threading.Event(), threading.Event()

    def work(some: list[int]) -> None:
        taken.append(some)
        runs.set()
        go.wait(PATIENCE)

    groups = Groups(work, ThreadPoolExecutor(1), threads=1, most=4)
    groups.put(0)
    assert runs.wait(PATIENCE)
    for number in range(1, 10):
        groups.put(number)
    go.set()
    groups.close()  # after all that waits
    assert taken == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9]]
    with pytest.raises(ServiceError):
        groups.put(10)


def test_threads_share_what_waits() -> None:
    taken: list[list[int]] = []
    both, here, go = threading.Barrier(2), threading.Semaphore(0), threading.Event()

    def work(some: list[int]) -> None:
        if some == [-1]:
            here.release()
            go.wait(PATIENCE)
            return
        taken.append(some)
        both.wait(PATIENCE)  # only the other thread can let this one go on

    groups = Groups(work, ThreadPoolExecutor(2), threads=2, most=64)
    for _ in range(2):  # nobody takes any before all are there
        groups.put(-1)
        assert here.acquire(timeout=PATIENCE)
    for number in range(8):
        groups.put(number)
    go.set()
    groups.close()
    assert sorted(number for some in taken for number in some) == list(range(8))
    assert max(map(len, taken)) <= 4


def test_a_thread_survives_a_group_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[int] = []

    def work(some: list[int]) -> None:
        if 0 in some:
            raise ValueError("0 cannot be worked on")
        taken.extend(some)

    groups = Groups(work, ThreadPoolExecutor(1), threads=1, most=1)
    for number in range(3):
        groups.put(number)
    groups.close()
    assert taken == [1, 2]
    assert "0 cannot be worked on" in caplog.text
