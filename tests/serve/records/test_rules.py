"""Rules of one moment: what each enrollment claims, and when that changes by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.serve.records.rules import Rules

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
