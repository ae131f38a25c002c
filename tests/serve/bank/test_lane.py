"""Work that may take long has threads of its own, and a queue that ends."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sfumato.errors import RequestError
from sfumato.serve.bank.lane import Lane


def refused(error: object) -> int | None:
    return error.status if isinstance(error, RequestError) else None


def test_one_account_and_all_of_them_have_a_limit() -> None:
    lane, go = Lane("test", threads=1, waiting=3, each=2), threading.Event()

    async def ask() -> list[int | BaseException]:
        asked = [lane.run(key, lambda: go.wait(30) and 1) for key in (1, 1, 1, 2, 2, 3)]
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
    lane = Lane("test", threads=1, waiting=0, each=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            asyncio.run(lane.run(1, lambda: 1 // 0))
    lane.close()
    for _ in range(3):  # it takes nothing any more, and says so each time
        with pytest.raises(RuntimeError):
            asyncio.run(lane.run(1, lambda: 1))
