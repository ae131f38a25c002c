"""The rules: whether an upload is shared or blocked, and which enrollment decides.

Pure functions over a matrix of scores (uploads x enrollments; small means "one of mine"), the mean
`mu` and standard deviation `sigma` that each enrollment reports for its own images, and a mask of
the enrollments that the uploader owns. Any score works that each enrollment calibrates by its own
`mu` and `sigma`; the paper takes the squared error of eq. (8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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
    """Distance to the threshold of the deciding enrollment, in sigmas: below it (>= 0, blocked) or
    above it (< 0, shared); minus infinity where no enrollment of somebody else was left."""


def standardize(scores: Scores, mu: PerEnrollment, sigma: PerEnrollment) -> Scores:
    """Return scores in sigmas from each enrollment's mean."""
    return (scores - mu) / sigma


def claims(
    scores: Scores, mu: PerEnrollment, sigma: PerEnrollment, alpha: float | PerEnrollment
) -> Owned:
    """Return which enrollments claim which upload: score <= mu + alpha sigma.

    There is no lower threshold. An image with an unusually small error is more likely one of the
    enrolled kind, and a lower threshold would let it through.
    """
    return standardize(scores, mu, sigma) <= alpha


def paper_rule(
    scores: Scores,
    mu: PerEnrollment,
    sigma: PerEnrollment,
    owned: Owned,
    *,
    alpha: float | PerEnrollment = ALPHA,
) -> Outcome:
    """Decide as the paper's Guard does (section 2.2).

    The smallest score names the enrollment, eq. (8). The upload is blocked if that enrollment is
    not the uploader's and the score lies in [mu - alpha sigma, mu + alpha sigma].
    """
    if not scores.shape[1]:
        return _nobody(len(scores))
    winner = scores.argmin(1)
    z = standardize(scores, mu, sigma).gather(1, winner[:, None])[:, 0]
    limit = torch.as_tensor(alpha, dtype=z.dtype, device=z.device).expand(len(mu))[winner]
    own = owned.gather(1, winner[:, None])[:, 0]
    margin = torch.where(own, -torch.inf, limit - z.abs())
    return Outcome(margin >= 0, winner, margin)


def contest_rule(
    scores: Scores,
    mu: PerEnrollment,
    sigma: PerEnrollment,
    owned: Owned,
    *,
    contested: Pairs,
    alpha: float | PerEnrollment = ALPHA,
    advantage: float = 1.0,
) -> Outcome:
    """Decide as the filter does by default.

    An upload is blocked if an enrollment that is not the uploader's claims it, unless an owned one
    overrides that claim: it has the smaller score, and may override (the pair is not contested).
    Scores are compared as they are, never in the uploader's own sigmas: nobody wins by reporting a
    large `mu`. An adversary who trains on a victim's images gets smaller scores than the victim on
    them; screening finds the pair contested, and the victim's claim then stands whatever the score.

    `advantage` in [0, 1] asks an overriding score to be below that part of the claim's score (no
    score may be negative then). It is the answer to an adversary who evades screening: one network
    of M units has to serve own and stolen pictures, so it rarely beats the victim's by much. At 0
    nobody overrides, and what the adversary enrolls is of no use at all; owners then pay for every
    foreign claim on their own pictures.

    Time and memory are linear in uploads times enrollments; each contested enrollment of the
    uploader costs one more pass over a column.
    """
    if not scores.shape[1]:
        return _nobody(len(scores))
    overridden = _best_own(scores, owned, contested) < advantage * scores
    margins = alpha - standardize(scores, mu, sigma)
    standing = margins.masked_fill(owned | overridden, -torch.inf)
    margin, enrollment = standing.max(1)
    decided = torch.where(margin.isneginf(), NOBODY, enrollment)
    return Outcome(margin >= 0, decided, margin)


def _best_own(scores: Scores, owned: Owned, contested: Pairs) -> Scores:
    """Return, for each upload and claim v, the smallest owned score that may override v."""
    best = scores.masked_fill(~owned, torch.inf)
    result = best.min(1, keepdim=True).values.repeat(1, scores.shape[1])
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
