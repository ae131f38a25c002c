"""Work that may take long has threads of its own, and a queue that ends."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait

import pytest

from sfumato.errors import RequestError, ServiceError
from sfumato.serve.waiting.lane import Lane
from tests.waiting import PATIENCE


def lane_of(*, threads: int, most: int, each: int) -> Lane:
    return Lane(ThreadPoolExecutor(threads), what="things", most=most, each=each)


def refused(error: object) -> int | None:
    return error.status if isinstance(error, RequestError) else None


def test_one_account_and_all_of_them_have_a_limit() -> None:
    lane, go = lane_of(threads=1, most=4, each=2), threading.Event()

    async def ask() -> list[int | BaseException]:
        asked = [lane.run(key, lambda: go.wait(PATIENCE) and 1) for key in (1, 1, 1, 2, 2, 3)]
        tasks = [asyncio.ensure_future(one) for one in asked]
        await asyncio.sleep(0.1)
        go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(ask())
    assert [refused(one) for one in found] == [None, None, 429, None, None, 503]
    for one in found:
        assert one == 1 or (isinstance(one, RequestError) and (one.retry_after or 0) >= 1)
    assert asyncio.run(lane.run(1, lambda: 7)) == 7
    lane.close()


def test_what_fails_gives_its_place_up() -> None:
    lane = lane_of(threads=1, most=1, each=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            asyncio.run(lane.run(1, lambda: 1 // 0))
    lane.close()
    for _ in range(3):  # it takes nothing any more, and says so each time
        with pytest.raises(ServiceError, match="ends"):
            asyncio.run(lane.run(1, lambda: 1))
    assert not lane.taken


def test_what_is_cancelled_gives_its_place_up_and_what_runs_keeps_it() -> None:
    lane, go, runs = lane_of(threads=1, most=2, each=2), threading.Event(), threading.Event()

    def work() -> bool:
        runs.set()
        return go.wait(PATIENCE)

    first, second = (lane.submit(1, work) for _ in range(2))
    assert runs.wait(PATIENCE)
    assert (first.cancel(), second.cancel(), second.cancel()) == (False, True, True)
    assert lane.taken == {1: 1}
    third = lane.submit(1, work)  # in the place of the second, and no further
    with pytest.raises(RequestError):
        lane.submit(1, work)
    go.set()
    assert first.result(PATIENCE)
    assert third.result(PATIENCE)
    lane.close()
    assert not lane.taken


def test_a_place_is_given_back_once_whether_it_ends_or_is_cancelled_at_that_moment() -> None:
    """Cancelling races with the thread that takes the call up: places never go below nought."""
    lane, draw = lane_of(threads=3, most=12, each=4), random.Random(0)
    sent: list[Future[int]] = []
    with ThreadPoolExecutor(4) as cancelling:
        for number in range(4_000):
            try:
                future = lane.submit(number % 5, lambda: 1)
            except RequestError:
                wait(sent[-8:])
                continue
            sent.append(future)
            if draw.random() < 0.5:
                cancelling.submit(future.cancel)
            assert min(lane.taken.values(), default=1) >= 1
            assert lane.taken.total() <= 12
    ended = 0
    for future in sent:
        try:
            ended += future.result(PATIENCE)
        except CancelledError:
            continue
    assert 0 < ended < len(sent)
    lane.close()
    assert not lane.taken
    assert lane.taken.total() == 0
