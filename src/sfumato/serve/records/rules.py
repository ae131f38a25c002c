"""Rules that a moderator changes while the service runs: thresholds, roll-out, timed disabling.

Every change is a row that all processes read within a second, and an entry in the audit log.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import torch
from jaxtyping import Float
from sqlalchemy import or_, select
from torch import Tensor

from sfumato.errors import BankError, InputError, RequestError
from sfumato.features.policy import Policy
from sfumato.filter.rule.guard import ALPHA
from sfumato.serve.database.clock import as_text
from sfumato.serve.database.db import changing, reading
from sfumato.serve.database.tables import AccountRow, BankRow, ChangeRow, EnrollmentRow
from sfumato.serve.records.audit_log import record
from sfumato.serve.records.store import Store

MOST_ALPHA: Final = 20.0
LEAST_FALSE_BLOCKS: Final = 1e-6
MOST_FALSE_BLOCKS: Final = 0.5
MOST_HOURS: Final = 24.0 * 366
_CUT: Final = 1 << 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of one bank at one moment."""

    alpha: float = ALPHA
    """Threshold in sigmas above the mean, for accounts without a threshold of their own: of a bank
    whose backbone has no policy."""
    false_blocks: float | None = None
    """Share of strangers' uploads that a bank with a policy may block; None takes the policy's."""
    enforced: float = 1.0
    """Share of the accounts whose blocks are enforced; those of the others are only recorded."""
    seed: str = ""
    """Together with an account's name it decides whether the account is in that share."""
    disabled_until: datetime | None = None
    """Until then blocks are only recorded."""
    account_alpha: Mapping[int, float] = field(default_factory=dict)
    account_false_blocks: Mapping[int, float] = field(default_factory=dict)
    account_disabled: Mapping[int, datetime] = field(default_factory=dict)
    """Accounts whose enrollments are disabled, and until when."""
    enrollment_disabled: Mapping[str, datetime] = field(default_factory=dict)

    def thresholds(
        self,
        names: Sequence[str],
        accounts: Sequence[int],
        now: datetime,
        policy: Policy | None = None,
    ) -> Float[Tensor, " n"]:
        """Return each enrollment's threshold; minus infinity if it is disabled.

        It is in sigmas, or with a policy in log10 of the share of strangers (`Rarity`).
        """
        pairs = zip(names, accounts, strict=True)
        off = torch.tensor([self._disabled(*pair, now) for pair in pairs], dtype=torch.bool)
        found = torch.tensor([self.threshold(account, policy) for account in accounts])
        return found.masked_fill(off, -torch.inf)

    def threshold(self, account: int | None, policy: Policy | None) -> float:
        """Return the threshold of an account, or the bank's for None."""
        if policy is None:
            return self.alpha if account is None else self.account_alpha.get(account, self.alpha)
        share = policy.false_blocks if self.false_blocks is None else self.false_blocks
        if account is not None:
            share = self.account_false_blocks.get(account, share)
        return math.log10(share)

    def changes_after(self, now: datetime) -> datetime | None:
        """Return when `thresholds` change next because a disabling ends; None if none does."""
        ends = (*self.account_disabled.values(), *self.enrollment_disabled.values())
        return min((end for end in ends if end > now), default=None)

    def enforces(self, account: str | None, now: datetime) -> bool:
        """Return whether blocks of this account are enforced, rather than only recorded.

        The answer for an account stays the same, so trying again does not help. Without an
        account the answer is whether anybody is blocked.
        """
        if self.disabled_until is not None and now < self.disabled_until:
            return False
        if account is None:
            return self.enforced > 0
        digest = hashlib.sha256(f"{self.seed}\x00{account}".encode()).digest()
        return int.from_bytes(digest[:8]) < self.enforced * _CUT

    def _disabled(self, name: str, account: int, now: datetime) -> bool:
        ends = (self.account_disabled.get(account), self.enrollment_disabled.get(name))
        return any(end is not None and now < end for end in ends)


def read_rules(store: Store) -> Rules:
    """Return the rules as the database has them now."""
    special = or_(
        AccountRow.alpha.is_not(None),
        AccountRow.false_blocks.is_not(None),
        AccountRow.disabled_until.is_not(None),
    )
    off = select(EnrollmentRow.id, EnrollmentRow.disabled_until)
    with reading(store.engine) as session:
        bank = session.scalar(select(BankRow))
        if bank is None:
            raise BankError("this bank has no enrollment and no service yet; start one first")
        accounts = session.scalars(select(AccountRow).where(special)).all()
        disabled = session.execute(off.where(EnrollmentRow.disabled_until.is_not(None))).all()
        return Rules(
            alpha=bank.alpha,
            false_blocks=bank.false_blocks,
            enforced=bank.enforced,
            seed=bank.rollout_seed,
            disabled_until=_time(bank.disabled_until),
            account_alpha={a.id: a.alpha for a in accounts if a.alpha is not None},
            account_false_blocks={
                a.id: a.false_blocks for a in accounts if a.false_blocks is not None
            },
            account_disabled={
                a.id: datetime.fromisoformat(a.disabled_until) for a in accounts if a.disabled_until
            },
            enrollment_disabled={
                name: datetime.fromisoformat(end) for name, end in disabled if end is not None
            },
        )


def change_bank(
    store: Store,
    *,
    actor: str,
    alpha: float | None = None,
    false_blocks: float | None = None,
    enforced: float | None = None,
    disable_hours: float | None = None,
) -> None:
    """Change the bank's rules; what is None stays. `disable_hours` 0 ends a disabling.

    Raises:
        InputError: a value is out of its range.
    """
    if enforced is not None and not 0 <= enforced <= 1:
        raise InputError(f"expected a share in 0..1 to be enforced, got {enforced}")
    values = _values(store, alpha, false_blocks, disable_hours)
    if enforced is not None:
        values["enforced"] = enforced
    read_rules(store)  # refuses a bank that has none yet
    _change(store, BankRow, "id", 1, values, actor=actor, subject="bank")


def change_account(
    store: Store,
    name: str,
    *,
    actor: str,
    alpha: float | None = None,
    false_blocks: float | None = None,
    disable_hours: float | None = None,
) -> None:
    """Change what an account's enrollments claim; what is None stays.

    Raises:
        InputError: a value is out of its range.
        RequestError: 404 no account has this name.
    """
    values = _values(store, alpha, false_blocks, disable_hours)
    _change(store, AccountRow, "name", name, values, actor=actor, subject=name)


def disable_enrollment(store: Store, enrollment_id: str, hours: float, *, actor: str) -> None:
    """Let an enrollment claim nothing for some hours; 0 ends it.

    Raises:
        InputError: the hours are out of their range.
        RequestError: 404 there is no such enrollment.
    """
    values = _values(store, None, None, hours)
    _change(store, EnrollmentRow, "id", enrollment_id, values, actor=actor, subject=enrollment_id)


def _values(
    store: Store, alpha: float | None, false_blocks: float | None, hours: float | None
) -> dict[str, float | str | None]:
    values: dict[str, float | str | None] = {}
    if alpha is not None:
        if not 0 <= alpha <= MOST_ALPHA:
            raise InputError(f"expected alpha in 0..{MOST_ALPHA:g}, got {alpha}")
        values["alpha"] = alpha
    if false_blocks is not None:
        if not LEAST_FALSE_BLOCKS <= false_blocks <= MOST_FALSE_BLOCKS:
            raise InputError(
                f"expected false_blocks in {LEAST_FALSE_BLOCKS:g}..{MOST_FALSE_BLOCKS:g}, a share "
                f"of strangers' uploads, got {false_blocks}"
            )
        values["false_blocks"] = false_blocks
    if hours is not None:
        if not 0 <= hours <= MOST_HOURS:
            raise InputError(f"expected 0 to {MOST_HOURS:g} hours, got {hours}")
        until = as_text(store.clock.now() + timedelta(hours=hours))
        values["disabled_until"] = until if hours else None
    return values


def _change(
    store: Store,
    table: type[BankRow] | type[AccountRow] | type[EnrollmentRow],
    key: str,
    wanted: str | int,
    values: Mapping[str, float | str | None],
    *,
    actor: str,
    subject: str,
) -> None:
    missing = RequestError(404, f"there is no {subject[:40]!r}")
    if isinstance(wanted, str) and not (wanted.isascii() and wanted.isprintable()):
        raise missing
    with changing(store.engine) as session:
        row = session.scalars(select(table).filter_by(**{key: wanted})).one_or_none()
        if row is None:
            raise missing
        for name, value in values.items():
            setattr(row, name, value)
        session.add(ChangeRow(kind="rules", enrollment=""))
        at = store.clock.text()
        record(session, at=at, actor=actor, action="change rules", subject=subject, detail=values)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
