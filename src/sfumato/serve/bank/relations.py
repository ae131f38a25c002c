"""What the rule needs of a bank's columns beside their scores, and the rule on one upload."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.filter.bank.bank import BankScores
from sfumato.filter.rule.front import Front, front
from sfumato.filter.rule.guard import (
    NOBODY,
    Owned,
    PerEnrollment,
    Scores,
    Unit,
    contest_rule,
    first_claims,
)
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
    """When each came, where the first claim stands; None where the smaller error does."""
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
        asked = self._asked(scores, account_id)
        outcome = contest_rule(
            asked.ranks, asked.common, asked.owned, contested=self.contested, alpha=asked.alpha
        )
        column, margin = int(outcome.enrollment), float(outcome.margin)
        if column == NOBODY:
            return no_match()
        return Match(
            claim="class",
            enrollment=scores.ids[column],
            account=int(self.accounts[column]),
            margin=margin,
            score=float(asked.alpha[column]) - margin,
        )

    def front(self, scores: BankScores, account_id: int, pairs: Iterable[tuple[str, str]]) -> Front:
        """Return the front for the scores of one upload of an account."""
        asked = self._asked(scores, account_id)
        return front(
            scores.ids,
            asked.ranks[0],
            asked.common[0],
            alpha=asked.alpha,
            accounts=self.accounts,
            account=account_id,
            pairs=pairs,
        )

    def _asked(self, scores: BankScores, account_id: int) -> _Asked:
        owned = (self.accounts == account_id)[None]
        # Who is not listed claims nothing. The uploader's own are always scored, so what they
        # claim is known.
        alpha = self.alpha.masked_fill(~(scores.listed | owned)[0], -torch.inf)
        common = self.unit(scores.errors)
        ranks = scores.errors
        if self.arrival is not None:
            ranks = first_claims(self.arrival, common, owned, alpha=alpha)
        return _Asked(ranks, common, owned, alpha)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What `contest_rule` takes for one upload."""

    ranks: Scores
    common: Scores
    owned: Owned
    alpha: PerEnrollment


def one_upload(scores: BankScores, row: int) -> BankScores:
    """Return the scores of one upload of a batch."""
    one = slice(row, row + 1)
    return replace(scores, errors=scores.errors[one], listed=scores.listed[one])
