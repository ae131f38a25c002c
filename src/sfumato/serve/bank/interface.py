"""What the service asks of a bank: one in this process, or one in shards on several machines."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, runtime_checkable

from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.features.policy import Policy
from sfumato.filter.copies import Copy
from sfumato.filter.enrollment import Enrollment
from sfumato.filter.rule.screening import Comparison, Likeness
from sfumato.serve.pictures.extract import Seen
from sfumato.serve.records.decisions import STRANGER, Match
from sfumato.serve.records.rules import Rules
from sfumato.serve.records.store import Terms


@dataclass(frozen=True, slots=True)
class Upload:
    """What one decision is asked about: the features of all pictures of an upload."""

    features: Float[Tensor, "n d"]
    """At least one."""
    account_id: int
    """Whose enrollments may override, or `STRANGER`."""
    now: datetime
    """The time at which timed disabling is evaluated."""


def deciding(found: Iterable[Match]) -> Match:
    """Return what decides an upload of several pictures: the match with the largest margin."""
    rows = [replace(match, view=row) for row, match in enumerate(found)]
    return max(rows, key=lambda match: (match.blocks, match.margin))


def no_match() -> Match:
    """Return what stands for no match: nobody else has an enrollment that counts."""
    return Match(claim="class", enrollment="", account=STRANGER, margin=-math.inf, score=math.inf)


@runtime_checkable
class Deciding(Protocol):
    """What the service, admission and the follower need; `BankState` says what each does."""

    terms: Terms
    policy: Policy | None
    rules: Rules

    def __len__(self) -> int:
        """Return how many enrollments count, or raise a ServiceError where nobody can tell."""
        ...

    def add(
        self,
        name: str,
        enrollment: Enrollment,
        account_id: int,
        contests: Iterable[Likeness] = (),
        *,
        arrival: int,
    ) -> None:
        """Let an enrollment count that is in the database."""
        ...

    def remove(self, name: str) -> None:
        """Forget an enrollment that is gone from the database."""
        ...

    @property
    def asks_hashes(self) -> bool:
        """Whether a picture's hash may be that of a near copy: if not, none need be computed."""
        ...

    def decide_each(self, uploads: Sequence[Upload]) -> list[Match]:
        """Decide uploads, each by the features of all its pictures; any of them may block it."""
        ...

    def find_copy(
        self, hashes: UInt8[Tensor, "v 32"], account_id: int, now: datetime
    ) -> Copy | None:
        """Return the enrolled picture of somebody else that a picture, given its views, copies."""
        ...

    def copy_yields(
        self, enrollment: str, features: Float[Tensor, "1 d"], account_id: int, now: datetime
    ) -> bool:
        """Return whether a near copy of somebody's does not stand against an account."""
        ...

    def screen(
        self,
        name: str,
        enrollment: Enrollment,
        account_id: int,
        among: Collection[str] | None = None,
    ) -> Comparison:
        """Compare a newcomer with everybody else's enrollments, or with those of them `among`."""
        ...


def find_copy(bank: Deciding, seen: Seen, account_id: int, now: datetime) -> Copy | None:
    """Return the first of an upload's pictures that is a copy of somebody else's, and stands.

    A picture of several faces stands unless every face yields.
    """
    for view, some in enumerate(seen.hashes):
        found = bank.find_copy(some, account_id, now) if len(some) else None
        if found is None:
            continue
        rows = [seen.features[i][None] for i, at in enumerate(seen.pictures) if at == view]
        yielding = [bank.copy_yields(found.enrollment, row, account_id, now) for row in rows]
        if not rows or not all(yielding):
            return replace(found, view=view)
    return None
