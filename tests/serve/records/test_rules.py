"""Rules of one moment: what each enrollment claims, and when that changes by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import InputError
from sfumato.serve.database.db import open_database
from sfumato.serve.records.auth import add_account
from sfumato.serve.records.rules import Rules, change_account, change_bank, read_rules
from sfumato.serve.records.store import Store, Terms

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
