"""The rules: whether an upload is shared or blocked, and which enrollment decides.

Pure functions over a matrix of scores (uploads x enrollments; small means "one of mine"), the same
scores in a unit that is common to all enrollments, and a mask of the enrollments that the uploader
owns. The paper takes the squared error of eq. (8), in sigmas from the mean that each enrollment
reports for its own images (`Sigmas`), and of two claims the one with the smaller error. A bank with
a policy takes how rare the error is among strangers (`calibration.Rarity`), and of two claims the
one that was enrolled first (`first_claims`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

Scores = Float[Tensor, "b n"]
PerEnrollment = Float[Tensor, " n"]
Owned = Bool[Tensor, "b n"]
Pairs = Int64[Tensor, "pairs 2"]
"""Rows (k, v): enrollment k may not override a claim of enrollment v. See `screening`."""

ALPHA: Final = 2.0
"""Default threshold in sigmas above the mean: the top of the paper's range."""
NOBODY: Final = -1
"""In place of an enrollment's index where no other user has one."""

BLOCKED: Final = "it matches pictures that somebody else protects"
"""What the uploader of a blocked picture is told."""
SHARED: Final = "no other user's enrollment matches this picture"
"""What the uploader of a shared picture is told."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule says about each upload of a batch."""

    blocked: Bool[Tensor, " b"]
    enrollment: Int64[Tensor, " b"]
    """Index of the enrollment that decided, or `NOBODY`. For the platform alone."""
    margin: Float[Tensor, " b"]
    """Distance to the threshold of the deciding enrollment, in the common unit: below it (>= 0,
    blocked) or above it (< 0, shared); minus infinity where no enrollment of somebody else was
    left."""


@runtime_checkable
class Unit(Protocol):
    """A unit of errors that is common to all enrollments of a bank."""

    def __call__(self, errors: Scores) -> Scores:
        """Return errors in this unit; smaller ones stay smaller, enrollment by enrollment."""
        ...

    def limits(self, alpha: float | PerEnrollment) -> PerEnrollment:
        """Return the error of each enrollment that is `alpha` in this unit."""
        ...

    def at(self, rows: Int64[Tensor, " k"]) -> Unit:
        """Return the unit of these enrollments alone, in that order."""
        ...


@dataclass(frozen=True, slots=True)
class Sigmas:
    """The paper's unit: standard deviations from the mean that each enrollment reports."""

    mu: PerEnrollment
    sigma: PerEnrollment

    def __call__(self, errors: Scores) -> Scores:
        """Return errors in sigmas from each enrollment's mean."""
        return (errors - self.mu) / self.sigma

    def limits(self, alpha: float | PerEnrollment) -> PerEnrollment:
        """Return mu + alpha sigma."""
        found: Tensor = self.mu + alpha * self.sigma
        return found

    def at(self, rows: Int64[Tensor, " k"]) -> Sigmas:
        """Return the unit of these enrollments alone, in that order."""
        return Sigmas(self.mu[rows], self.sigma[rows])


def paper_rule(
    scores: Scores,
    standardized: Scores,
    owned: Owned,
    *,
    alpha: float | PerEnrollment = ALPHA,
) -> Outcome:
    """Decide as the paper's Guard does (section 2.2), on scores in sigmas from the mean.

    The smallest score names the enrollment, eq. (8). The upload is blocked if that enrollment is
    not the uploader's and the score lies in [mu - alpha sigma, mu + alpha sigma].
    """
    if not scores.shape[1]:
        return _nobody(len(scores))
    winner = scores.argmin(1)
    z = standardized.gather(1, winner[:, None])[:, 0]
    limit = torch.as_tensor(alpha, dtype=z.dtype, device=z.device).expand(scores.shape[1])[winner]
    own = owned.gather(1, winner[:, None])[:, 0]
    margin = torch.where(own, -torch.inf, limit - z.abs())
    return Outcome(margin >= 0, winner, margin)


def contest_rule(
    ranks: Scores,
    common: Scores,
    owned: Owned,
    *,
    contested: Pairs,
    alpha: float | PerEnrollment = ALPHA,
    advantage: float = 1.0,
) -> Outcome:
    """Decide as the filter does by default.

    An upload is blocked if an enrollment that is not the uploader's claims it (its score in the
    common unit is at most `alpha`), unless an owned one overrides that claim: it has the smaller
    rank, and may override (the pair is not contested). There is no lower edge: an image with an
    unusually small error is more likely one of the enrolled kind.

    Ranks are the scores as they are, or `first_claims`. They are never in the uploader's own
    sigmas: nobody wins by reporting a large `mu`. An adversary who trains on a victim's images gets
    smaller scores than the victim on them; screening finds the pair contested, and the victim's
    claim then stands whatever the score. One that evades screening wins by scores, and loses by
    first claims unless it enrolled before its victim.

    `advantage` in [0, 1] asks an overriding rank to be below that part of the claim's rank (no
    rank may be negative then). It is the answer to an adversary who evades screening: one network
    of M units has to serve own and stolen pictures, so it rarely beats the victim's by much. At 0
    nobody overrides, and what the adversary enrolls is of no use at all; owners then pay for every
    foreign claim on their own pictures.

    Time and memory are linear in uploads times enrollments; each contested enrollment of the
    uploader costs one more pass over a column.
    """
    if not ranks.shape[1]:
        return _nobody(len(ranks))
    overridden = _best_own(ranks, owned, contested) < advantage * ranks
    margins = alpha - common
    standing = margins.masked_fill(owned | overridden, -torch.inf)
    margin, enrollment = standing.max(1)
    decided = torch.where(margin.isneginf(), NOBODY, enrollment)
    return Outcome(margin >= 0, decided, margin)


def first_claims(
    arrival: Float[Tensor, " n"], common: Scores, owned: Owned, *, alpha: float | PerEnrollment
) -> Scores:
    """Return the ranks under which the first of two claims stands, for `contest_rule`.

    An uploader's enrollment overrides what was enrolled after it, and only on a picture that it
    claims itself. So whoever enrolls stolen pictures after their owner gains nothing by it, and
    takes nothing from the owner's own uploads.

    Args:
        arrival: When each enrollment came; only the order counts.
        common: Scores in the common unit.
        owned: The uploader's enrollments.
        alpha: The largest score in the common unit that each enrollment claims.
    """
    silent = owned & (common > alpha)
    return arrival.expand(common.shape).masked_fill(silent, torch.inf)


def _best_own(ranks: Scores, owned: Owned, contested: Pairs) -> Scores:
    """Return, for each upload and claim v, the smallest owned rank that may override v."""
    best = ranks.masked_fill(~owned, torch.inf)
    result = best.min(1, keepdim=True).values.repeat(1, ranks.shape[1])
    relevant = contested[owned.any(0)[contested[:, 0]]]
    for v in relevant[:, 1].unique():
        barred = relevant[relevant[:, 1] == v, 0]
        result[:, v] = best.index_fill(1, barred, torch.inf).min(1).values
    return result


def _nobody(count: int) -> Outcome:
    return Outcome(
        torch.zeros(count, dtype=torch.bool),
        torch.full((count,), NOBODY),
        torch.full((count,), -torch.inf),
    )
