"""What a threshold would do: past uploads and rulings, counted again for every threshold.

One threshold changes, the bank's or an account's, and the others stay. Acceptance: the share of
uploads that no class matches then. Accuracy: of the moderated claims whose threshold is changed,
the share where the new threshold gives the moderator's result. A confirmed block should stay
below the threshold, an overturned one should lie above it. Both figures come from uploads and
appeals, not from a test set, and nobody appeals a share. An upload is counted at its nearest
enrollment alone. Near copies are blocked at every threshold.

Uploads are counted by tenths of the bank's unit: of a sigma, or with a policy of log10 of the share
of strangers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from sfumato.features.policy import Policy
from sfumato.serve.records.decisions import Ruled
from sfumato.serve.records.near_counts import TENTHS, Place
from sfumato.serve.records.rules import LEAST_FALSE_BLOCKS, MOST_ALPHA, MOST_FALSE_BLOCKS, Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one threshold does with the uploads and rulings so far."""

    threshold: float
    """Alpha, or with a policy the share of strangers' uploads that may be blocked."""
    blocked: int
    acceptance: float | None
    accuracy: float | None
    """Undefined, as acceptance, where there is nothing to count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a new threshold would have changed."""

    threshold: float
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
    policy: Policy | None = None
    account: int | None = None

    @property
    def value(self) -> float:
        """Its value now: alpha, or a share of strangers' uploads."""
        return self.natural(self.rules.threshold(self.account, self.policy))

    @property
    def own(self) -> bool:
        """Whether it is an account's own."""
        return self.account in self._special

    def moves(self, account: int) -> bool:
        """Whether it is this account's: the bank's is that of accounts without their own."""
        if self.account is None:
            return account not in self._special
        return account == self.account

    def tenth(self, account: int, value: float | None = None) -> int:
        """Return the threshold of this account in tenths, with the changed one at `value`."""
        if value is None or not self.moves(account):
            return tenths(self.rules.threshold(account, self.policy))
        return self.tenths_of(value)

    def tenths_of(self, value: float) -> int:
        """Return a value of the threshold in tenths of the bank's unit."""
        return tenths(value if self.policy is None else math.log10(value))

    def natural(self, threshold: float) -> float:
        """Return a threshold in the bank's unit as a moderator reads it."""
        return threshold if self.policy is None else 10**threshold

    def can_be(self, value: float) -> bool:
        """Return whether the threshold can be set to this."""
        if self.policy is None:
            return 0 <= value <= MOST_ALPHA
        return LEAST_FALSE_BLOCKS <= value <= MOST_FALSE_BLOCKS

    @property
    def steps(self) -> range:
        """The tenths that can be set."""
        least, most = (
            (0.0, MOST_ALPHA)
            if self.policy is None
            else (math.log10(LEAST_FALSE_BLOCKS), math.log10(MOST_FALSE_BLOCKS))
        )
        return range(tenths(least), tenths(most) + 1)

    @property
    def _special(self) -> Mapping[int, float]:
        rules = self.rules
        return rules.account_alpha if self.policy is None else rules.account_false_blocks


def points(tally: Mapping[Place, int], ruled: Sequence[Ruled], threshold: Threshold) -> list[Point]:
    """Return a point for each threshold that can be set, in steps of a tenth."""
    uploads, steps = sum(tally.values()), threshold.steps
    counts = dict.fromkeys(steps, 0)
    for (account, tenth), number in tally.items():
        if not threshold.moves(account):
            if tenth <= threshold.tenth(account):
                counts[steps[0]] += number
        elif tenth <= steps[-1]:
            counts[max(tenth, steps[0])] += number
    return [
        Point(
            threshold=threshold.natural(step / TENTHS),
            blocked=blocked,
            acceptance=1 - blocked / uploads if uploads else None,
            accuracy=_accuracy(ruled, threshold, step),
        )
        for step, blocked in zip(steps, accumulate(counts.values()), strict=True)
    ]


def forecast(
    tally: Mapping[Place, int], ruled: Sequence[Ruled], threshold: Threshold, value: float
) -> Forecast:
    """Return what changing the threshold to `value` would have changed.

    It is rounded down to a tenth of the bank's unit, because uploads are counted by tenths.
    """
    step = threshold.tenths_of(value) / TENTHS
    freed = [r.confirmed for r in ruled if threshold.moves(r.account) and r.score > step]
    return Forecast(
        threshold=threshold.natural(step),
        uploads=sum(tally.values()),
        blocked_before=_blocked(tally, threshold, None),
        blocked_after=_blocked(tally, threshold, value),
        confirmed_freed=sum(freed),
        overturned_freed=len(freed) - sum(freed),
    )


def tenths(threshold: float) -> int:
    """Return the whole tenths in a threshold; 2.3 has 23, although 2.3 * 10 is a little less."""
    return math.floor(round(threshold * TENTHS, 6))


def _blocked(tally: Mapping[Place, int], threshold: Threshold, value: float | None) -> int:
    return sum(
        number for (who, tenth), number in tally.items() if tenth <= threshold.tenth(who, value)
    )


def _accuracy(ruled: Sequence[Ruled], threshold: Threshold, step: int) -> float | None:
    own = [r for r in ruled if threshold.moves(r.account)]
    right = sum((r.score <= step / TENTHS) == r.confirmed for r in own)
    return right / len(own) if own else None
