"""What the rule needs of a bank's columns beside their scores, and the rule on one upload."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sfumato.filter.bank.bank import BankScores
from sfumato.filter.rule.front import Front, front
from sfumato.filter.rule.guard import NOBODY, PerEnrollment, Unit, contest_rule
from sfumato.serve.bank.interface import no_match
from sfumato.serve.records.decisions import Match


@dataclass(frozen=True, slots=True)
class Relations:
    """What the rule needs of the bank's columns, in their order."""

    accounts: Int64[Tensor, " n"]
    contested: Int64[Tensor, "pairs 2"]
    alpha: Float[Tensor, " n"]
    unit: Unit
    """Of scores and `alpha`."""
    arrival: Float[Tensor, " n"] | None
    """When each came; None where the order does not count."""
    until: datetime | None
    """When `alpha` changes by itself, because a disabling ends."""
    limits: Float[Tensor, " n"] = field(init=False)
    """The largest error that each claims: one tensor, so that a shortlist knows it again."""
    _by_account: tuple[Tensor, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "limits", self.unit.limits(self.alpha))
        object.__setattr__(self, "_by_account", tuple(self.accounts.sort(stable=True)))

    def owned(self, accounts: Iterable[int]) -> Int64[Tensor, " k"]:
        """Return the columns of some accounts."""
        ordered, columns = self._by_account
        asked = torch.tensor(sorted(set(accounts)), dtype=torch.int64)
        starts = torch.searchsorted(ordered, asked).tolist()
        ends = torch.searchsorted(ordered, asked, right=True).tolist()
        parts = [columns[start:end] for start, end in zip(starts, ends, strict=True)]
        return torch.cat(parts) if parts else columns[:0]

    def at(self, rows: Int64[Tensor, " k"]) -> Relations:
        """Return what concerns these columns alone, in the order of `rows`."""
        return replace(
            self,
            accounts=self.accounts[rows],
            contested=_among(self.contested, rows),
            alpha=self.alpha[rows],
            unit=self.unit.at(rows),
            arrival=None if self.arrival is None else self.arrival[rows],
        )

    def decided(self, scores: BankScores, account_id: int) -> Match:
        """Apply the default rule to the scores of one upload of an account."""
        owned, alpha = self._asked(scores, account_id)
        outcome = contest_rule(
            scores.errors,
            self.unit(scores.errors),
            owned[None],
            contested=self.contested,
            alpha=alpha,
            arrival=self.arrival,
        )
        column, margin = int(outcome.enrollment), float(outcome.margin)
        if column == NOBODY:
            return no_match()
        return Match(
            claim="class",
            enrollment=scores.ids[column],
            account=int(self.accounts[column]),
            margin=margin,
            score=float(alpha[column]) - margin,
        )

    def front(self, scores: BankScores, account_id: int, pairs: Iterable[tuple[str, str]]) -> Front:
        """Return the front for the scores of one upload of an account."""
        _, alpha = self._asked(scores, account_id)
        return front(
            scores.ids,
            scores.errors[0],
            self.unit(scores.errors)[0],
            alpha=alpha,
            accounts=self.accounts,
            account=account_id,
            pairs=pairs,
            arrival=self.arrival,
        )

    def _asked(
        self, scores: BankScores, account_id: int
    ) -> tuple[Bool[Tensor, " n"], PerEnrollment]:
        """Return which enrollments the account owns, and how far each one's claim reaches."""
        # Who is not listed claims nothing.
        alpha = self.alpha.masked_fill(~scores.listed[0], -torch.inf)
        return self.accounts == account_id, alpha


def _among(pairs: Int64[Tensor, "p 2"], rows: Int64[Tensor, " k"]) -> Int64[Tensor, "_ 2"]:
    """Return the pairs of two of the rows, as positions in `rows`."""
    if not len(rows):
        return pairs[:0]
    ordered, places = rows.sort()
    found = torch.searchsorted(ordered, pairs).clamp(max=len(rows) - 1)
    there = (ordered[found] == pairs).all(1)
    return places[found[there]]


def one_upload(scores: BankScores, row: int) -> BankScores:
    """Return the scores of one upload of a batch."""
    one = slice(row, row + 1)
    return replace(scores, errors=scores.errors[one], listed=scores.listed[one])
