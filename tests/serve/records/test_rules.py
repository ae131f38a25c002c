"""Rules of one moment: what each enrollment claims, and when that changes by itself."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import BankError, InputError, RequestError
from sfumato.features.policy import Policy
from sfumato.filter.rule.guard import ALPHA
from sfumato.serve.database.db import open_database
from sfumato.serve.records.audit_log import events
from sfumato.serve.records.auth import add_account
from sfumato.serve.records.rules import (
    Rules,
    change_account,
    change_bank,
    disable_enrollment,
    read_rules,
)
from sfumato.serve.records.store import Store, Stored, Terms

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("a", "b", "c")
ACCOUNTS = (1, 2, 2)
ENDS = st.integers(-3, 6)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@given(
    accounts=st.dictionaries(st.sampled_from(ACCOUNTS), ENDS),
    enrollments=st.dictionaries(st.sampled_from(NAMES), ENDS),
)
def test_what_is_claimed_stays_until_the_first_disabling_ends(
    accounts: dict[int, int], enrollments: dict[str, int]
) -> None:
    rules = Rules(
        account_alpha={2: 0.5},
        account_disabled={account: at(end) for account, end in accounts.items()},
        enrollment_disabled={name: at(end) for name, end in enrollments.items()},
    )

    def claimed(hours: float) -> list[float]:
        return rules.thresholds(NAMES, ACCOUNTS, at(hours)).tolist()

    for now in range(-3, 7):
        expected = [
            -torch.inf
            if now < max(accounts.get(account, -9), enrollments.get(name, -9))
            else {1: rules.alpha, 2: 0.5}[account]
            for name, account in zip(NAMES, ACCOUNTS, strict=True)
        ]
        assert claimed(now) == expected
        ends = [end for end in (*accounts.values(), *enrollments.values()) if end > now]
        change = rules.changes_after(at(now))
        assert change == (at(min(ends)) if ends else None)
        until = 9 if change is None else (change - START) / timedelta(hours=1)
        for later in range(now, 9):
            if later < until:
                assert claimed(later) == claimed(now)


@pytest.mark.parametrize("who", ["ada", None])
def test_nothing_is_blocked_until_the_banks_disabling_ends(who: str | None) -> None:
    rules = Rules(disabled_until=at(2))
    assert [rules.enforces(who, at(hours)) for hours in (-1, 0, 1.999, 2, 3)] == [
        False,
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(("share", "anybody"), [(0.0, False), (1e-9, True), (1.0, True)])
def test_nobody_named_is_anybody_at_all(share: float, anybody: bool) -> None:
    rules = Rules(enforced=share)
    assert rules.enforces(None, START) == anybody
    assert rules.enforces("ada", START) == (share == 1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    engine = open_database(f"sqlite:///{tmp_path}/bank.db")
    made = Store(engine)
    made.fix_terms(Terms(backbone="ab" * 32, dim=64, hidden=8))
    yield made
    engine.dispose()


@pytest.mark.parametrize(
    ("name", "lowest", "below", "highest", "above"),
    [
        ("alpha", 0.0, -0.01, 20.0, 20.01),
        ("false_blocks", 1e-6, 0.99e-6, 0.5, 0.51),
        ("enforced", 0.0, -0.01, 1.0, 1.01),
        ("disable_hours", 0.0, -0.01, 366 * 24.0, 366 * 24.0 + 0.01),
    ],
)
def test_a_banks_rules_have_ends(
    store: Store, name: str, lowest: float, below: float, highest: float, above: float
) -> None:
    for value in (lowest, highest):
        change_bank(store, actor="moderator", **{name: value})
        if name != "disable_hours":
            assert getattr(read_rules(store), name) == value
    before = read_rules(store)
    for value in (below, above, float("nan")):
        with pytest.raises(InputError):
            change_bank(store, actor="moderator", **{name: value})
    assert read_rules(store) == before


@pytest.mark.parametrize(("name", "value"), [("alpha", 20.01), ("false_blocks", 0.51)])
def test_an_accounts_rules_have_the_same_ends(store: Store, name: str, value: float) -> None:
    add_account(store.engine, "ada")
    with pytest.raises(InputError):
        change_account(store, "ada", actor="moderator", **{name: value})


WHO = [f"user{i}" for i in range(2000)]


@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 1.0])
def test_a_roll_out_takes_its_share_of_accounts_and_keeps_them_as_it_grows(share: float) -> None:
    def taken(part: float, seed: str = "s") -> set[str]:
        rules = Rules(enforced=part, seed=seed)
        return {who for who in WHO if rules.enforces(who, START)}

    found = taken(share)
    # Six standard deviations of a binomial one.
    assert abs(len(found) - 2000 * share) <= 6 * math.sqrt(2000 * share * (1 - share))
    assert found <= taken(min(1.0, share + 0.2))
    if 0 < share < 1:
        assert found != taken(share, "t")


def test_who_is_in_a_roll_out_is_the_same_under_every_release() -> None:
    """An account's place is the first eight bytes of SHA-256 of the seed, a zero and its name."""
    for who in WHO[:300]:
        digest = hashlib.sha256(b"seed\0" + who.encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        for share in (place * (1 - 1e-9), place * (1 + 1e-9)):
            rules = Rules(enforced=share, seed="seed")
            assert rules.enforces(who, START) == (share > place)


POLICY = Policy(cohort=torch.rand(200, 3), dimension=8.0, false_blocks=0.02, contested=0.9)


@pytest.mark.parametrize(
    ("bank", "own", "expected"),
    [(None, None, 0.02), (0.1, None, 0.1), (None, 0.3, 0.3), (0.1, 0.3, 0.3)],
)
def test_with_a_policy_a_threshold_is_a_share_of_strangers(
    bank: float | None, own: float | None, expected: float
) -> None:
    rules = Rules(
        alpha=9.0,
        false_blocks=bank,
        account_alpha={2: 7.0},
        account_false_blocks={} if own is None else {2: own},
        enrollment_disabled={"c": at(1)},
    )
    assert rules.threshold(2, POLICY) == pytest.approx(math.log10(expected))
    others = math.log10(bank or 0.02)
    assert rules.threshold(None, POLICY) == rules.threshold(1, POLICY) == pytest.approx(others)
    found = rules.thresholds(NAMES, ACCOUNTS, START, POLICY).tolist()
    assert found == pytest.approx([others, math.log10(expected), -math.inf])
    assert [rules.threshold(who, None) for who in (None, 1, 2)] == [9.0, 9.0, 7.0]
    assert Rules().threshold(None, None) == ALPHA


def test_what_is_changed_is_read_and_logged_and_the_rest_stays(store: Store) -> None:
    ada = add_account(store.engine, "ada")[0].id
    bob = add_account(store.engine, "bob")[0].id
    name = "e" * 32
    store.insert(Stored(id=name, account_id=ada, content=b""), status="active", reason="")
    fresh = read_rules(store)
    assert (fresh.alpha, fresh.false_blocks, fresh.enforced) == (ALPHA, None, 1.0)
    assert (fresh.disabled_until, fresh.account_disabled, fresh.enrollment_disabled) == (
        None,
        {},
        {},
    )
    last = store.last_change()
    change_account(store, "ada", actor="judge", alpha=1.5)
    change_account(store, "bob", actor="judge", false_blocks=0.25, disable_hours=2.0)
    disable_enrollment(store, name, 3.0, actor="judge")
    change_bank(store, actor="judge", enforced=0.5, disable_hours=1.0)
    now, found = store.clock.now(), read_rules(store)
    assert (found.alpha, found.enforced, found.seed) == (ALPHA, 0.5, fresh.seed)
    assert (found.account_alpha, found.account_false_blocks) == ({ada: 1.5}, {bob: 0.25})
    ends = (
        (found.account_disabled[bob], 2),
        (found.enrollment_disabled[name], 3),
        (found.disabled_until, 1),
    )
    for end, hours in ends:
        assert end is not None
        assert timedelta() <= now + timedelta(hours=hours) - end < timedelta(minutes=2)
    changes = store.changes(last)
    assert [(change.kind, change.enrollment) for change in changes] == [("rules", "")] * 4
    said = [e for e in events(store.engine) if e.action == "change rules"]
    assert [(e.actor, e.subject) for e in said] == [
        ("judge", subject) for subject in ("ada", "bob", name, "bank")
    ]
    assert json.loads(said[0].detail) == {"alpha": 1.5}
    assert sorted(json.loads(said[1].detail)) == ["disabled_until", "false_blocks"]
    change_account(store, "bob", actor="judge", disable_hours=0.0)
    disable_enrollment(store, name, 0.0, actor="judge")
    change_bank(store, actor="judge", disable_hours=0.0)
    ended = read_rules(store)
    assert (ended.disabled_until, ended.account_disabled, ended.enrollment_disabled) == (
        None,
        {},
        {},
    )
    assert ended.account_false_blocks == {bob: 0.25}


@pytest.mark.parametrize("wrong", ["nobody", "", "\x00", "\u00e9", "a\nb", "x" * 90])
def test_what_is_not_there_is_named_in_short_and_nothing_changes(store: Store, wrong: str) -> None:
    add_account(store.engine, "ada")
    before = store.last_change()
    for change in (
        lambda: change_account(store, wrong, actor="judge", alpha=1.0),
        lambda: disable_enrollment(store, wrong, 1.0, actor="judge"),
    ):
        with pytest.raises(RequestError) as caught:
            change()
        assert caught.value.status == 404
        assert str(caught.value).endswith(f"there is no {wrong[:40]!r}")
    assert store.last_change() == before


def test_a_database_without_a_bank_has_no_rules(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/other.db")
    for ask in (read_rules, lambda store: change_bank(store, actor="x", alpha=1.0)):
        with pytest.raises(BankError, match="no enrollment and no service yet"):
            ask(Store(engine))
    engine.dispose()
