"""The part of a bank's scores that a decision over several parts needs.

An upload is blocked by the enrollment with the largest margin that no enrollment of the uploader
overrides (`contest_rule`). The uploader's enrollment overrides another one by a smaller rank. A
claim that has both a larger rank and a smaller margin than another can be dropped: every enrollment
that overrides the other also overrides it. The claims that remain, in order of falling margin, have
falling ranks. Of n claims about log n remain. A front also holds the uploader's own ranks, and the
claims that some enrollment may not override.

All numbers are those that the part computed, so ties are the same as in one bank.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.filter.rule.guard import NOBODY, contest_rule


@dataclass(frozen=True, slots=True)
class Row:
    """What one enrollment says of the upload, as plain numbers that can be sent.

    `common` is its score in the unit of `alpha`, the enrollment's threshold; of two claims the one
    with the smaller `rank` stands.
    """

    enrollment: str
    account: int
    rank: float
    common: float
    alpha: float


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
    ranks: Float[Tensor, " n"],
    common: Float[Tensor, " n"],
    *,
    alpha: Float[Tensor, " n"],
    accounts: Int64[Tensor, " n"],
    account: int,
    pairs: Iterable[tuple[str, str]],
) -> Front:
    """Return the front of one part of a bank for an upload of `account`.

    `pairs` may name enrollments of other parts.
    """
    here = tuple(pairs)
    margin = (alpha - common).masked_fill(accounts == account, -torch.inf)
    claimants = {claimant for _, claimant in here}
    columns = {*_stairs(ranks, margin), *(accounts == account).nonzero()[:, 0].tolist()}
    columns |= {i for i, name in enumerate(ids) if name in claimants} if claimants else set()
    rows = [
        Row(ids[i], int(accounts[i]), *(float(column[i]) for column in (ranks, common, alpha)))
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
    # Orders of arrival are larger than float32 counts; margins are float32's, as in one bank.
    ranks = torch.tensor([row.rank for row in whole.rows], dtype=torch.float64)
    columns = [[row.common, row.alpha] for row in whole.rows]
    common, alpha = torch.tensor(columns).reshape(-1, 2).unbind(1)
    owned = torch.tensor([row.account == account for row in whole.rows], dtype=torch.bool)
    outcome = contest_rule(
        ranks[None],
        common[None],
        owned[None],
        contested=torch.tensor(known, dtype=torch.int64).reshape(-1, 2),
        alpha=alpha,
    )
    found = int(outcome.enrollment)
    return float(outcome.margin), None if found == NOBODY else whole.rows[found]


def _stairs(ranks: Float[Tensor, " n"], margin: Float[Tensor, " n"]) -> list[int]:
    """Return the columns that no other one beats in both rank and margin; ties go to the first."""
    order = margin.argsort(descending=True, stable=True)
    order = order[~margin[order].isneginf()]
    falling = ranks[order]
    new = torch.ones(len(order), dtype=torch.bool)
    if len(order) > 1:
        new[1:] = falling[1:] < falling.cummin(0).values[:-1]
    return [int(i) for i in order[new]]
