"""A process looks at the database several times a second, and takes each change once."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from sfumato.errors import ServiceError
from sfumato.serve.bank.follow import Follower
from sfumato.serve.bank.memory import BankState
from sfumato.serve.records.store import Change, Store, Terms
from tests.serve.conftest import on_both_kinds
from tests.waiting import wait_until

database = on_both_kinds


class Recorded(Store):
    """A store without changes, and its clock, that notes when it is asked."""

    def __init__(self, fault: Callable[[int], bool] = lambda _: False) -> None:
        self.asked: list[float] = []
        self.fault, self.kept, self.clock = fault, 0, self

    def changes(self, after: int) -> list[Change]:
        self.asked.append(time.monotonic())
        if self.fault(len(self.asked)):
            raise ServiceError("the database does not answer")
        return []

    def keep(self) -> None:
        self.kept += 1


def followed(store: Recorded, looks: int) -> Follower:
    """A follower that has looked so often; it is stopped."""
    state = BankState(Terms(backbone="ab" * 32, dim=2, hidden=1))
    follower = Follower(store, state, seen=0)
    follower.start()
    wait_until(lambda: len(store.asked) >= looks)
    follower.stop()
    return follower


def test_a_second_is_enough_for_several_looks_at_the_database() -> None:
    store = Recorded()
    followed(store, 6)
    # A busy machine may be late now and then, but not each time.
    assert min(later - now for now, later in pairwise(store.asked)) < 1 / 3


def test_nothing_is_asked_after_the_end() -> None:
    store = Recorded()
    followed(store, 2)
    asked = len(store.asked)
    time.sleep(0.5)
    assert len(store.asked) == asked


def test_a_database_that_comes_back_is_followed_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="sfumato.serve")
    followed(Recorded(lambda number: number in (2, 3)), 6)
    said = [record.message for record in caplog.records if record.name == "sfumato.serve"]
    assert said == [
        "cannot follow the database: the database does not answer",
        "following the database again",
    ]
