"""The part of a bank's scores that a decision over several parts needs.

An upload is blocked by the enrollment with the largest margin that no enrollment of the uploader
overrides (`contest_rule`). The uploader's enrollment overrides another one by a smaller score, and
where the order counts by having come first. A claim that has a larger score, a smaller margin and
came later than another can be dropped: every enrollment that overrides the other also overrides it.
Of n claims about log n remain, and half the square of that where the order counts. A front also
holds the uploader's own scores, and the claims that some enrollment may not override.

All numbers are those that the part computed, so ties are the same as in one bank.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sfumato.filter.rule.guard import NOBODY, contest_rule

_ROUND: Final = 256  # columns that are compared with each other at once


@dataclass(frozen=True, slots=True)
class Row:
    """What one enrollment says of the upload, as plain numbers that can be sent.

    `common` is the score in the unit of `alpha`, the enrollment's threshold.
    """

    enrollment: str
    account: int
    score: float
    common: float
    alpha: float
    arrival: float | None
    """When it came; None where the order does not count."""


@dataclass(frozen=True, slots=True)
class Front:
    """The rows that may take part in a decision, and the pairs (k, v): k may not override v."""

    rows: tuple[Row, ...]
    pairs: tuple[tuple[str, str], ...] = ()

    def owns(self, account: int) -> bool:
        """Return whether an enrollment of this account is among the rows."""
        return any(row.account == account for row in self.rows)


def front(
    ids: Sequence[str],
    scores: Float[Tensor, " n"],
    common: Float[Tensor, " n"],
    *,
    alpha: Float[Tensor, " n"],
    accounts: Int64[Tensor, " n"],
    account: int,
    pairs: Iterable[tuple[str, str]],
    arrival: Float[Tensor, " n"] | None,
) -> Front:
    """Return the front of one part of a bank for an upload of `account`.

    `pairs` may name enrollments of other parts.
    """
    here = tuple(pairs)
    margin = (alpha - common).masked_fill(accounts == account, -torch.inf)
    claimants = {claimant for _, claimant in here}
    columns = {*_undominated(scores, margin, arrival)}
    columns |= {*(accounts == account).nonzero()[:, 0].tolist()}
    columns |= {i for i, name in enumerate(ids) if name in claimants} if claimants else set()
    rows = [
        Row(
            enrollment=ids[i],
            account=int(accounts[i]),
            score=float(scores[i]),
            common=float(common[i]),
            alpha=float(alpha[i]),
            arrival=None if arrival is None else float(arrival[i]),
        )
        for i in sorted(columns)
    ]
    return Front(tuple(rows), here)


def joined(fronts: Iterable[Front]) -> Front:
    """Return the front of a whole bank from the fronts of its parts."""
    every = list(fronts)
    rows = tuple(row for one in every for row in one.rows)
    return Front(rows, tuple(dict.fromkeys(pair for one in every for pair in one.pairs)))


def decide(whole: Front, account: int) -> tuple[float, Row | None]:
    """Decide as `contest_rule` does over the whole bank; return the margin and the deciding row.

    Of claims with equal margins, the one of the first part decides.
    """
    names = {row.enrollment: i for i, row in enumerate(whole.rows)}
    known = [(names[k], names[v]) for k, v in whole.pairs if k in names and v in names]
    columns = [[r.score, r.common, r.alpha] for r in whole.rows]
    scores, common, alpha = torch.tensor(columns).reshape(-1, 3).unbind(1)
    came = [row.arrival for row in whole.rows if row.arrival is not None]
    owned = torch.tensor([row.account == account for row in whole.rows], dtype=torch.bool)
    outcome = contest_rule(
        scores[None],
        common[None],
        owned[None],
        contested=torch.tensor(known, dtype=torch.int64).reshape(-1, 2),
        alpha=alpha,
        arrival=torch.tensor(came, dtype=torch.float64) if came else None,
    )
    found = int(outcome.enrollment)
    return float(outcome.margin), None if found == NOBODY else whole.rows[found]


def _undominated(
    scores: Float[Tensor, " n"],
    margin: Float[Tensor, " n"],
    arrival: Float[Tensor, " n"] | None,
) -> list[int]:
    """Return the columns that no other one beats in score, margin and arrival.

    Ties go to the first.
    """
    order = margin.argsort(descending=True, stable=True)
    left = order[~margin[order].isneginf()]
    keys = torch.stack([scores.double(), scores.double() if arrival is None else arrival])
    kept: list[int] = []
    # Whoever has the largest margins beats nearly all others: a few rounds are enough.
    while len(left):
        some, rest = left[:_ROUND], left[_ROUND:]
        some = some[~_beaten(keys[:, some], keys[:, some], triangle=True)]
        kept += some.tolist()
        left = rest[~_beaten(keys[:, some], keys[:, rest], triangle=False)]
    return kept


def _beaten(
    first: Float[Tensor, "keys k"], then: Float[Tensor, "keys m"], *, triangle: bool
) -> Bool[Tensor, " m"]:
    """Return which of `then` one of `first` beats; with `triangle` only one that stands before."""
    beats = (first[:, :, None] <= then[:, None, :]).all(0)
    return (beats.triu(1) if triangle else beats).any(0)
