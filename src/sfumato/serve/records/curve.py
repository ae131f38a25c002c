"""What a threshold would do: past uploads and rulings, counted again for every alpha.

One threshold changes, the bank's or an account's, and the others stay. Acceptance: the share of
uploads that no class matches then. Accuracy: of the moderated claims whose threshold is changed,
the share where the new threshold gives the moderator's result. A confirmed block should stay
below the threshold, an overturned one should lie above it. Both figures come from uploads and
appeals, not from a test set, and nobody appeals a share. An upload is counted at its nearest
enrollment alone. Near copies are blocked at every alpha.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from sfumato.serve.records.decisions import Ruled
from sfumato.serve.records.near_counts import TENTHS, Place
from sfumato.serve.records.rules import MOST_ALPHA, Rules

_STEPS: Final = round(MOST_ALPHA * TENTHS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one threshold does with the uploads and rulings so far."""

    alpha: float
    blocked: int
    acceptance: float | None
    accuracy: float | None
    """Undefined, as acceptance, where there is nothing to count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a new threshold would have changed."""

    alpha: float
    uploads: int
    blocked_before: int
    blocked_after: int
    confirmed_freed: int
    """Blocks that a moderator confirmed, and that would have been shared."""
    overturned_freed: int
    """Blocks that a moderator overturned, and that would have been shared."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """The threshold that changes: the bank's, or that of one account."""

    rules: Rules
    account: int | None = None

    @property
    def alpha(self) -> float:
        """Its value now."""
        if self.account is None:
            return self.rules.alpha
        return self.rules.account_alpha.get(self.account, self.rules.alpha)

    def moves(self, account: int) -> bool:
        """Whether it is this account's: the bank's is that of accounts without their own."""
        if self.account is None:
            return account not in self.rules.account_alpha
        return account == self.account

    def tenth(self, account: int, alpha: float | None = None) -> int:
        """Return the threshold of this account in tenths, with the changed one at `alpha`."""
        now = self.rules.account_alpha.get(account, self.rules.alpha)
        return tenths(now if alpha is None or not self.moves(account) else alpha)


def points(tally: Mapping[Place, int], ruled: Sequence[Ruled], threshold: Threshold) -> list[Point]:
    """Return a point a tenth of a sigma, from 0 to the largest threshold."""
    uploads = sum(tally.values())
    steps = [0] * (_STEPS + 2)  # the last one is out of reach
    for (account, tenth), number in tally.items():
        if threshold.moves(account):
            steps[max(tenth, 0)] += number
        elif tenth <= threshold.tenth(account):
            steps[0] += number
    return [
        Point(
            alpha=step / TENTHS,
            blocked=blocked,
            acceptance=1 - blocked / uploads if uploads else None,
            accuracy=_accuracy(ruled, threshold, step),
        )
        for step, blocked in enumerate(accumulate(steps[:-1]))
    ]


def forecast(
    tally: Mapping[Place, int], ruled: Sequence[Ruled], threshold: Threshold, alpha: float
) -> Forecast:
    """Return what changing the threshold to `alpha` would have changed.

    `alpha` is rounded down to a tenth, because uploads are counted by tenths.
    """
    freed = [
        r.confirmed
        for r in ruled
        if threshold.moves(r.account) and r.score > tenths(alpha) / TENTHS
    ]
    return Forecast(
        alpha=tenths(alpha) / TENTHS,
        uploads=sum(tally.values()),
        blocked_before=_blocked(tally, threshold, None),
        blocked_after=_blocked(tally, threshold, alpha),
        confirmed_freed=sum(freed),
        overturned_freed=len(freed) - sum(freed),
    )


def tenths(alpha: float) -> int:
    """Return the whole tenths in a threshold; 2.3 has 23, although 2.3 * 10 is a little less."""
    return math.floor(round(alpha * TENTHS, 6))


def _blocked(tally: Mapping[Place, int], threshold: Threshold, alpha: float | None) -> int:
    return sum(
        number for (who, tenth), number in tally.items() if tenth <= threshold.tenth(who, alpha)
    )


def _accuracy(ruled: Sequence[Ruled], threshold: Threshold, step: int) -> float | None:
    own = [r for r in ruled if threshold.moves(r.account)]
    right = sum((r.score <= step / TENTHS) == r.confirmed for r in own)
    return right / len(own) if own else None
