"""A bank in shards decides as one bank, on random banks with ties and contested pairs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import torch
from sqlalchemy import text

from sfumato.errors import BankError, ServiceError
from sfumato.features.policy import Policy
from sfumato.filter.enrollment import Enrollment, open_enrollment
from sfumato.filter.neardup import available
from sfumato.filter.rule.front import Front
from sfumato.filter.rule.screening import concluded
from sfumato.serve.bank.interface import Deciding
from sfumato.serve.bank.memory import BankState, Upload
from sfumato.serve.records.decisions import STRANGER, Match
from sfumato.serve.records.erasures import erase
from sfumato.serve.records.rules import (
    change_account,
    change_bank,
    disable_enrollment,
    read_rules,
)
from sfumato.serve.records.shard_share import Share
from sfumato.serve.sharded.bank import ShardedBank
from sfumato.serve.sharded.serving import orders
from sfumato.serve.sharded.shard import Shard
from tests.serve.sharded.conftest import DIM, TERMS, Crowd
from tests.waiting import PATIENCE, wait_until

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def _has_loaded(shard: Shard) -> bool:
    """A shard that is still loading says so after a second; who asks then asks again."""
    try:
        shard.size(0)
    except ServiceError:
        return False
    except BankError:  # what its database holds is damaged: that is its answer from now on
        return True
    return True


class Here:
    """Shards in this process, asked one after the other."""

    def __init__(self, url: str, count: int, policy: Policy | None = None) -> None:
        self.policy = policy
        self.shards = [Shard(order) for order in orders(url, TERMS, count, policy=policy)]
        for shard in self.shards:
            wait_until(partial(_has_loaded, shard))

    def __call__(self, method: str, *arguments: Any, seconds: float | None = None) -> list[Any]:
        return [getattr(shard, method)(*arguments) for shard in self.shards]

    def close(self) -> None:
        for shard in self.shards:
            shard.close()


# Public features lie somewhat further out than uploads do, so that many of those are blocked.
_OUT = torch.rand(300, DIM, generator=torch.Generator().manual_seed(9)) * 2 - 1
POLICY = Policy(
    cohort=0.5 + 0.5 * _OUT.sign() * _OUT.abs() ** 0.75,
    dimension=1.0,
    false_blocks=0.3,
    contested=0.9,
)


@pytest.fixture(
    params=[
        pytest.param((1, None), id="1", marks=pytest.mark.slow),
        pytest.param((2, None), id="2"),
        pytest.param((3, None), id="3", marks=pytest.mark.slow),
        pytest.param((3, POLICY), id="3-policy"),
    ]
)
def here(crowd: Crowd, request: pytest.FixtureRequest) -> Iterator[Here]:
    made = Here(crowd.url, *request.param)
    yield made
    made.close()


@pytest.fixture
def two(crowd: Crowd) -> Iterator[Here]:
    made = Here(crowd.url, 2)
    yield made
    made.close()


def same(crowd: Crowd, bank: ShardedBank, uploads: int) -> list[bool]:
    """Check every decision on random uploads; return which were blocked."""
    single = BankState.load(crowd.store, TERMS, policy=bank.policy)
    blocked = []
    for _ in range(uploads):
        x = crowd.upload()
        for account in (*crowd.accounts, STRANGER):
            expected, found = single.decide(x, account, NOW), bank.decide(x, account, NOW)
            assert decided(found) == decided(expected)
            if found.enrollment != expected.enrollment:  # a copy of the deciding one, as deep
                mu = {enrolled(crowd, one.enrollment).mu for one in (found, expected)}
                assert len(mu) == 1
            else:
                assert found.account == expected.account
            blocked.append(found.blocks)
    return blocked


def decided(nearest: Match) -> tuple[bool, float, float]:
    return nearest.blocks, nearest.margin, nearest.score


def enrolled(crowd: Crowd, name: str) -> Enrollment:
    found = crowd.store.find(name)
    assert found is not None
    return open_enrollment(found[0].content).enrollment


def test_decisions_are_those_of_one_bank(crowd: Crowd, here: Here) -> None:
    bank = ShardedBank.load(crowd.store, TERMS, here, policy=here.policy)
    assert isinstance(bank, Deciding)
    assert len(bank) == len(crowd.names)
    blocked = same(crowd, bank, uploads=25)
    assert 10 < sum(blocked) < len(blocked) - 10


def test_changes_reach_every_shard_before_the_next_decision(crowd: Crowd, here: Here) -> None:
    bank = ShardedBank.load(crowd.store, TERMS, here, policy=here.policy)
    for change in (
        lambda: crowd.insert(),
        lambda: crowd.insert(copy=True),
        lambda: crowd.erase(crowd.names[3]),
        lambda: change_bank(crowd.store, actor="test", alpha=1.0),
        lambda: change_account(crowd.store, "b", actor="test", alpha=4.0),
        lambda: change_bank(crowd.store, actor="test", false_blocks=0.2),
        lambda: change_account(crowd.store, "c", actor="test", false_blocks=0.5),
        lambda: disable_enrollment(crowd.store, crowd.names[0], 24.0, actor="test"),
        lambda: crowd.erase(crowd.names[0]),
    ):
        change()
        same(crowd, bank, uploads=4)
        assert len(bank) == len(crowd.names)


def test_screening_is_that_of_one_bank(
    crowd: Crowd, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = ShardedBank.load(crowd.store, TERMS, here, policy=here.policy)
    monkeypatch.setattr("secrets.randbits", lambda _: 7)
    for _ in range(3):
        name = crowd.insert(copy=True)
        newcomer = enrolled(crowd, name)
        crowd.erase(name)
        single = BankState.load(crowd.store, TERMS, policy=here.policy)
        expected = concluded([single.screen(name, newcomer, crowd.accounts[0])])
        found = concluded([bank.screen(name, newcomer, crowd.accounts[0])])
        pairs = [
            {(p.overrider, p.claimant): p.value for p in s.contested} for s in (found, expected)
        ]
        # Of many samples at once, a product's last bit depends on how many rows are beside it.
        assert pairs[0] == pytest.approx(pairs[1])
        assert found.breadth == pytest.approx(expected.breadth, abs=0.01)
        assert found.contested


def test_any_picture_of_an_upload_decides_as_in_one_bank(crowd: Crowd, here: Here) -> None:
    bank = ShardedBank.load(crowd.store, TERMS, here, policy=here.policy)
    single = BankState.load(crowd.store, TERMS, policy=here.policy)
    for account in (*crowd.accounts[:3], STRANGER):
        views = torch.cat([crowd.upload() for _ in range(5)])
        expected, found = single.decide(views, account, NOW), bank.decide(views, account, NOW)
        alone = [single.decide(view[None], account, NOW) for view in views]
        deepest = max(alone, key=lambda one: (one.blocks, one.margin))
        assert found.view == expected.view == alone.index(deepest)
        # Enrollments may tie, and then either is named.
        assert found.margin == pytest.approx(deepest.margin)
        assert found.blocks == any(one.blocks for one in alone)


@pytest.mark.skipif(not available(), reason="pdqhash is not installed")
def test_copies_are_found_as_in_one_bank(crowd: Crowd, here: Here) -> None:
    bank = ShardedBank.load(crowd.store, TERMS, here, policy=here.policy)
    single = BankState.load(crowd.store, TERMS, policy=here.policy)
    assert bank.asks_hashes
    assert single.asks_hashes
    found = 0
    for name in crowd.names[:9]:
        hashes = enrolled(crowd, name).copies
        assert hashes is not None
        for account in (*crowd.accounts, STRANGER):
            expected = single.find_copy(hashes, account, NOW)
            assert bank.find_copy(hashes, account, NOW) == expected
            found += expected is not None
    assert found > 9


def test_copies_yield_and_newcomers_share_hashes_as_in_one_bank(crowd: Crowd, here: Here) -> None:
    bank, single = (
        ShardedBank.load(crowd.store, TERMS, here, policy=here.policy),
        BankState.load(crowd.store, TERMS, policy=here.policy),
    )
    change_bank(crowd.store, actor="test", alpha=0.5)
    single.rules = read_rules(crowd.store)
    seen = set()
    for name in crowd.names:
        for account in (*crowd.accounts, STRANGER):
            x = crowd.upload()
            expected = single.copy_yields(name, x, account, NOW)
            assert bank.copy_yields(name, x, account, NOW) == expected
            seen.add(expected)
    assert seen == {True, False}
    newcomer = enrolled(crowd, crowd.names[0])
    for account in crowd.accounts:
        copied = single.screen("f" * 32, newcomer, account).copied
        assert bank.screen("f" * 32, newcomer, account).copied == copied


def test_an_owned_score_never_comes_from_ahead_of_the_others(crowd: Crowd, two: Here) -> None:
    """A shard that lags is asked again: it might not know that a pair is contested."""
    x, account = crowd.upload(), crowd.accounts[0]
    asked: list[int] = []

    def lagging(method: str, *arguments: Any, seconds: float | None = None) -> list[Any]:
        answers = two(method, *arguments)
        asked.append(arguments[0])
        owner = next(i for i, (_, part) in enumerate(answers) if part.owns(account))
        seen = [max(seen, arguments[0]) for seen, _ in answers]
        seen[owner] = asked[0] + 1
        return [(number, part) for number, (_, part) in zip(seen, answers, strict=True)]

    expected = ShardedBank(crowd.store, TERMS, two).decide(x, account, NOW)
    assert ShardedBank(crowd.store, TERMS, lagging).decide(x, account, NOW) == expected
    assert asked == [asked[0], asked[0] + 1]


def test_uploads_that_wait_are_scored_together(
    crowd: Crowd, two: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = two.shards[0]
    shard.size(0)
    state, sizes, first = shard.state, [], threading.Event()
    assert state is not None
    fronts = state.fronts

    def slow(uploads: Sequence[Upload]) -> list[Front]:
        sizes.append(len(uploads))
        assert first.wait(PATIENCE)
        return fronts(uploads)

    monkeypatch.setattr(state, "fronts", slow)
    asked = [Upload(crowd.upload(), crowd.accounts[i % 4], NOW) for i in range(9)]
    with ThreadPoolExecutor(len(asked)) as threads:
        answers = []
        for one in asked:
            question = (0, one.features.numpy(), one.account_id, NOW)
            answers.append(threads.submit(shard.front, *question))
            wait_until(lambda: len(sizes) + len(shard.waiting_fronts.waiting) == len(answers))
        first.set()
        found = [answer.result()[1] for answer in answers]
    assert sizes == [1, len(asked) - 1]
    for one, front in zip(asked, found, strict=True):
        (alone,) = fronts([one])
        assert [row.enrollment for row in front.rows] == [row.enrollment for row in alone.rows]
        assert front.pairs == alone.pairs
        for row, expected in zip(front.rows, alone.rows, strict=True):
            assert row.score == pytest.approx(expected.score, rel=1e-5)


def test_a_part_that_cannot_be_read_stops_the_start_and_later_costs_requests(crowd: Crowd) -> None:
    with crowd.store.engine.begin() as connection:
        change = text("UPDATE contents SET content = :content WHERE enrollment = :id")
        connection.execute(change, {"content": b"torn", "id": crowd.names[1]})
    here = Here(crowd.url, 2)
    with pytest.raises(BankError, match=f"enrollment {crowd.names[1]} in the database is damaged"):
        ShardedBank.load(crowd.store, TERMS, here, policy=here.policy)
    with pytest.raises(ServiceError, match="a shard of the bank cannot be read"):
        ShardedBank(crowd.store, TERMS, here).decide(crowd.upload(), STRANGER, NOW)
    here.close()


def test_parts_hold_every_enrollment_once(crowd: Crowd) -> None:
    for count in (1, 2, 5):
        parts = [Share(index, count) for index in range(count)]
        held = [[row.id for row in crowd.store.active(share)] for share in parts]
        assert sorted(name for some in held for name in some) == sorted(crowd.names)
        for share, some in zip(parts, held, strict=True):
            assert some == [name for name in crowd.names if share.holds(name)]


def test_shards_may_be_asked_while_the_bank_changes(crowd: Crowd, two: Here) -> None:
    bank, ended = ShardedBank.load(crowd.store, TERMS, two), threading.Event()

    def work() -> None:
        while not ended.is_set():
            erase(crowd.store, crowd.insert(), actor="test")
            crowd.names.pop()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for _ in range(30):
            bank.decide(torch.full((1, 64), 0.5), crowd.accounts[0], NOW)
    finally:
        ended.set()
        worker.join()
    same(crowd, bank, uploads=3)
