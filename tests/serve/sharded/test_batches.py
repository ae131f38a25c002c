"""Callers who come together are answered together, each with its own answer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from sfumato.serve.sharded.batches import Batches
from tests.waiting import PATIENCE, wait_until


class Doubling:
    """Doubles numbers, one batch at a time; the first batch waits until it may go on."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.started, self.go = threading.Event(), threading.Event()
        self.running = 0

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.running += 1
        assert self.running == 1
        self.sizes.append(len(numbers))
        self.started.set()
        self.go.wait(PATIENCE)
        self.running -= 1
        if 13 in numbers:
            raise ValueError("thirteen")
        return [2 * number for number in numbers]


def waiting(batches: Batches[int, int], count: int) -> None:
    wait_until(lambda: len(batches.waiting) == count)


def test_one_at_a_time_is_a_batch_of_one() -> None:
    doubling = Doubling()
    doubling.go.set()
    batches = Batches(doubling, most=8)
    assert [batches(number) for number in range(5)] == [0, 2, 4, 6, 8]
    assert doubling.sizes == [1] * 5


@pytest.mark.parametrize(("most", "sizes"), [(64, [1, 20]), (8, [1, 8, 8, 4])])
def test_who_comes_meanwhile_is_the_next_batch(most: int, sizes: list[int]) -> None:
    doubling = Doubling()
    batches = Batches(doubling, most=most)
    with ThreadPoolExecutor(21) as pool:
        first = pool.submit(batches, 100)
        assert doubling.started.wait(PATIENCE)
        others = [pool.submit(batches, number) for number in range(20, 40)]
        waiting(batches, 20)
        doubling.go.set()
        assert first.result(PATIENCE) == 200
        assert [other.result(PATIENCE) for other in others] == [
            2 * number for number in range(20, 40)
        ]
    assert doubling.sizes == sizes


def test_a_question_that_fails_fails_alone_and_the_next_are_answered() -> None:
    doubling = Doubling()
    batches = Batches(doubling, most=64)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(batches, 1)
        assert doubling.started.wait(PATIENCE)
        others = {number: pool.submit(batches, number) for number in (2, 13, 4)}
        waiting(batches, 3)
        doubling.go.set()
        assert first.result(PATIENCE) == 2
        assert (others[2].result(PATIENCE), others[4].result(PATIENCE)) == (4, 8)
        with pytest.raises(ValueError, match="thirteen"):
            others[13].result(PATIENCE)
    assert batches(7) == 14


def test_hundreds_of_calls_from_many_threads_each_get_their_own_answer() -> None:
    doubling = Doubling()
    doubling.go.set()
    batches = Batches(doubling, most=5)
    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(batches, range(100, 900))) == [2 * n for n in range(100, 900)]
    assert sum(doubling.sizes) == 800
    assert max(doubling.sizes) <= 5
