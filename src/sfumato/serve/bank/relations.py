"""What the rule needs of a bank's columns beside their scores, and the rule on one upload."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
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

    def at(self, rows: Int64[Tensor, " k"]) -> Relations:
        """Return what concerns these columns alone, in the order of `rows`."""
        place = torch.full((len(self.accounts),), -1)
        place[rows] = torch.arange(len(rows))
        pairs = place[self.contested]
        return replace(
            self,
            accounts=self.accounts[rows],
            contested=pairs[(pairs >= 0).all(1)],
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


def one_upload(scores: BankScores, row: int) -> BankScores:
    """Return the scores of one upload of a batch."""
    one = slice(row, row + 1)
    return replace(scores, errors=scores.errors[one], listed=scores.listed[one])
