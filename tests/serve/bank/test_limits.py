"""A rate limit lets through exactly its rate, after its burst."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import RequestError
from sfumato.serve.bank.limits import MOST_KEYS, RateLimit


def passes(limit: RateLimit, key: int = 0) -> bool:
    try:
        limit.check(key)
    except RequestError:
        return False
    return True


@given(per_minute=st.integers(1, 600), burst=st.integers(1, 50), gaps=st.lists(st.floats(0, 30)))
def test_no_window_has_more_than_the_burst_and_the_rate(
    per_minute: int, burst: int, gaps: list[float]
) -> None:
    now = [0.0]
    limit = RateLimit(per_minute, burst, clock=lambda: now[0])
    times = []
    for gap in gaps:
        now[0] += gap
        if passes(limit):
            times.append(now[0])
    for i, first in enumerate(times):
        for j, last in enumerate(times[i:]):
            assert j + 1 <= burst + (last - first) * per_minute / 60 + 1e-6


@given(per_minute=st.integers(1, 600), burst=st.integers(1, 50))
def test_a_burst_passes_and_waiting_as_told_helps(per_minute: int, burst: int) -> None:
    now = [5.0]
    limit = RateLimit(per_minute, burst, clock=lambda: now[0])
    assert all(passes(limit) for _ in range(burst))
    with pytest.raises(RequestError) as caught:
        limit.check(0)
    assert passes(limit, key=1)
    assert caught.value.status == 429
    assert caught.value.retry_after is not None
    now[0] += caught.value.retry_after
    assert passes(limit)


def test_whoever_waits_is_not_forgotten_where_many_come() -> None:
    limit = RateLimit(60, 1, clock=lambda: 7.0)
    assert [passes(limit) for _ in range(2)] == [True, False]
    assert all(passes(limit, key) for key in range(1, 10_100))
    assert not passes(limit)
    assert not passes(limit, 5)


def test_requests_at_the_same_moment_are_counted_one_by_one() -> None:
    """A clock that two may read at once would let two pass where there is room for one."""
    together = threading.Barrier(2)
    met: list[int] = []

    def clock() -> float:
        with suppress(threading.BrokenBarrierError):
            together.wait(0.2)
            met.append(1)
        return 7.0

    limit = RateLimit(60, 1, clock=clock)
    with ThreadPoolExecutor(2) as pool:
        passed = list(pool.map(lambda _: passes(limit), range(2)))
    assert sorted(passed) == [False, True]
    assert met == []


def test_those_who_left_are_forgotten() -> None:
    now = [0.0]
    limit = RateLimit(60, 10, clock=lambda: now[0])
    for key in range(MOST_KEYS + 5):
        now[0] += 2.0
        limit.check(key)
    assert len(limit.due_at) < 10
