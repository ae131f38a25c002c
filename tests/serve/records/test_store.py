"""What a bank takes by the terms that it fixed, and what its records are asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sfumato.errors import RequestError
from sfumato.filter.enrollment import MOST_COPIES, Enrollment, seal_enrollment
from sfumato.filter.rule.screening import Likeness
from sfumato.serve.database.db import open_database
from sfumato.serve.records.audit_log import events
from sfumato.serve.records.auth import add_account
from sfumato.serve.records.erasures import erase
from sfumato.serve.records.shard_share import Share
from sfumato.serve.records.store import Store, Stored, Terms, is_id


@pytest.mark.parametrize(("dim", "hidden"), [(1, 1), (64, 8), (300, 7), (2048, 32)])
def test_the_largest_file_that_fits_the_terms_is_taken_and_little_more(
    dim: int, hidden: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    copies = torch.randint(0, 256, (MOST_COPIES, 32), generator=generator, dtype=torch.uint8)
    made = Enrollment(
        encoder=torch.zeros(hidden, dim),
        encoder_bias=torch.zeros(hidden),
        decoder=torch.zeros(dim, hidden),
        decoder_bias=torch.zeros(dim),
        code_mean=torch.zeros(hidden),
        code_covariance=torch.eye(hidden),
        mu=0.1,
        sigma=0.01,
        calibration="cross-fitted",
        count=MOST_COPIES,
        backbone="ab" * 32,
        copies=copies,
    )
    size = len(seal_enrollment(made, Ed25519PrivateKey.generate()))
    limit = Terms(backbone="ab" * 32, dim=dim, hidden=hidden).limit_bytes
    assert size <= limit <= size + (16 << 10)


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    made = Store(open_database(database))
    yield made
    made.engine.dispose()


def name_of(number: int) -> str:
    return f"{number:032x}"


def stored(number: int, account: int) -> Stored:
    return Stored(id=name_of(number), account_id=account, content=b"%d" % number)


def test_more_enrollments_than_are_read_at_once_come_in_their_order(store: Store) -> None:
    """64 are read at a time; ids run against the order of arrival."""
    ada = add_account(store.engine, "ada")[0].id
    for number in range(130, 0, -1):
        status = "quarantined" if number % 65 == 7 else "active"
        store.insert(stored(number, ada), status=status, reason="")
    expected = [number for number in range(130, 0, -1) if number % 65 != 7]
    found = list(store.active())
    assert [one.content for one in found] == [b"%d" % number for number in expected]
    assert [one.arrival for one in found] == [131 - number for number in expected]
    assert store.active_ids() == [name_of(number) for number in expected]
    parts = [[one.id for one in store.active(Share(i, 3))] for i in range(3)]
    assert sorted(name for part in parts for name in part) == sorted(store.active_ids())
    for part in parts:
        assert part == [name for name in store.active_ids() if name in part]


def test_accounts_and_statuses_are_told_apart(store: Store) -> None:
    ada, bob = (add_account(store.engine, name)[0].id for name in ("ada", "bob"))
    for number, (who, status) in enumerate(
        [(bob, "active"), (ada, "quarantined"), (ada, "active"), (bob, "quarantined")], 1
    ):
        store.insert(stored(number, who), status=status, reason=f"r{number}")  # type: ignore[arg-type]

    def ids(**wanted: object) -> list[int]:
        return [int(one.id, 16) for one in store.entries(**wanted)]  # type: ignore[arg-type]

    assert ids() == [1, 2, 3, 4]
    assert (ids(account_id=ada), ids(status="active")) == ([2, 3], [1, 3])
    assert ids(account_id=bob, status="quarantined") == [4]
    entry = store.entry(name_of(2))
    assert entry is not None
    assert (entry.account, entry.status, entry.reason) == ("ada", "quarantined", "r2")
    assert store.find(name_of(2)) == (
        Stored(id=name_of(2), account_id=ada, content=b"2", arrival=2),
        entry,
    )
    for wrong in (name_of(9), "", "x" * 32, "A" * 32, "0" * 31, "0" * 33):
        assert store.entry(wrong) is None
        assert store.find(wrong) is None
        assert is_id(wrong) == (wrong == name_of(9))
    assert [one.content for one in store.held(ada)] == [b"3"]
    assert (store.held_ids(ada), store.held_ids(bob)) == ({name_of(3)}, {name_of(1)})
    assert store.earliest([name_of(4), name_of(3), name_of(9)]) == name_of(3)
    assert store.earliest([name_of(9)]) is store.earliest([]) is None
    assert [c.enrollment for c in store.changes(0)] == [name_of(1), name_of(3)]
    actions = [(e.actor, e.action, e.subject) for e in events(store.engine)][-4:]
    assert actions == [
        ("bob", "enroll: active", name_of(1)),
        ("ada", "enroll: quarantined", name_of(2)),
        ("ada", "enroll: active", name_of(3)),
        ("bob", "enroll: quarantined", name_of(4)),
    ]


def test_arrivals_are_those_of_the_last_hours(store: Store) -> None:
    ada = add_account(store.engine, "ada")[0].id
    start = store.clock.now()
    assert (store.arrivals(), store.last_change()) == (0, 0)
    for number in (1, 2):
        store.insert(stored(number, ada), status="quarantined", reason="")
    for hours, within, expected in ((0.99, 1.0, 2), (1.01, 1.0, 0), (1.01, 2.0, 2)):
        at = (start + timedelta(hours=hours)).timestamp()
        store.clock.system = lambda at=at: at
        assert store.arrivals(within) == expected
        if within == 1.0:
            assert store.arrivals() == expected


def test_a_quarantined_enrollment_is_admitted_once_with_the_pairs_that_are_left(
    store: Store,
) -> None:
    ada = add_account(store.engine, "ada")[0].id
    for number in (1, 2, 3):
        store.insert(stored(number, ada), status="quarantined", reason="")
    erase(store, name_of(3), actor="ada")
    pairs = [
        Likeness(overrider=name_of(a), claimant=name_of(b), value=0.25)
        for a, b in ((1, 2), (1, 3), (3, 1))
    ]
    last = store.last_change()
    store.admit(name_of(1), pairs, actor="judge")
    assert store.contests() == store.contests(name_of(2)) == pairs[:1]
    assert store.contests(name_of(3)) == []
    assert [(c.kind, c.enrollment) for c in store.changes(last)] == [("add", name_of(1))]
    entry = store.entry(name_of(1))
    assert entry is not None
    assert (entry.status, entry.reason) == ("active", "admitted by a moderator")
    for wrong in (name_of(1), name_of(3), "z" * 50):
        with pytest.raises(RequestError, match=f"no enrollment '{wrong[:40]}' is quarantined") as e:
            store.admit(wrong, [], actor="judge")
        assert e.value.status == 404
    assert [(e.actor, e.action) for e in events(store.engine)][-1] == ("judge", "admit")


def test_anchors_are_kept_once_under_each_policy(store: Store) -> None:
    ada = add_account(store.engine, "ada")[0].id
    for number in (1, 2):
        store.insert(stored(number, ada), status="active", reason="")
    store.keep_anchors("p", {})
    store.keep_anchors("p", {name_of(1): 0.5, name_of(9): 0.75})
    store.keep_anchors("p", {name_of(1): 7.0, name_of(2): 0.25})
    store.keep_anchors("q", {name_of(2): 0.125})
    assert store.anchors("p") == {name_of(1): 0.5, name_of(2): 0.25}
    assert store.anchors("q") == {name_of(2): 0.125}
    assert store.anchors("r") == {}
