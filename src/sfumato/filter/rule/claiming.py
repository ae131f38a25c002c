"""What an enrollment would claim: of public pictures, and of what it says that its own are.

An enrollment is an assertion: pictures whose error is within its limit are one person's. Nothing
proves that an autoencoder was trained at all. One that returns the same picture for every input,
with a wide limit, claims a ball of the feature space, and a few such balls most uploads. A bank
with a policy sets every limit by public pictures, whatever an enrollment reports, and counts what
the enrollments of one account claim of them together. Every bank looks whether an enrollment finds
what it decodes itself.
"""

from __future__ import annotations

import math
from typing import Final

from jaxtyping import Float
from torch import Tensor

from sfumato.errors import EnrollmentError
from sfumato.filter.rule.guard import ALPHA

LEAST_OWN: Final = 0.5
"""Share of its own decoded samples that an enrollment has to claim.

Honest enrollments claim all of them: a network's error on what it decoded itself is a tenth of its
error on pictures.
"""
LEAST_VARIED: Final = 1e-6
"""Least variance of an enrollment's own decoded samples, in units of its `mu`.

Honest ones of 2 to 30 pictures have 0.02 to 3 on MNIST, under several trainings. Of a face, whose
features differ little among one person's pictures, they have 0.0003 to 0.011 (five people of LFW,
7 to 15 pictures, training on views). One that always returns the same picture has none. Whoever
wants to pass gives a little more: what an enrollment claims of public pictures is what counts.
"""
LEAST_SPREAD: Final = 0.01
"""Least sigma in units of mu. Devices raise a smaller one to it (`enroll`), so that equal errors of
few pictures still give an interval; a file with less was not made by one."""
_ROUNDING: Final = 1e-5


def claim_limit(mu: float, sigma: float) -> float:
    """Return the largest error that an enrollment claims at the default threshold."""
    return mu + ALPHA * sigma


def false_claims(errors: Float[Tensor, "b k"], limits: Float[Tensor, " k"]) -> int:
    """Return how many of b pictures at least one of k enrollments claims.

    Args:
        errors: Squared error of each enrollment on each picture, none of which is enrolled.
        limits: The largest error that each enrollment claims.
    """
    return int((errors <= limits).any(1).sum())


def most_claims(expected: float) -> float:
    """Return the most public pictures that honest enrollments claim, where so many are expected.

    A limit follows from the lowest hundredth of an enrollment's errors and the power law that
    honest ones share. One that is made to fit chosen pictures far better than the rest has another
    tail, and claims more of them than its limit is meant to. Counts of rare events spread as
    Poisson's do: four standard deviations and four pictures more happen to one in ten thousand.
    """
    return expected + 4 * math.sqrt(expected) + 4


def check_own(
    samples: Float[Tensor, "s d"],
    errors: Float[Tensor, " s"],
    *,
    mu: float,
    sigma: float,
    limit: float,
) -> None:
    """Refuse an enrollment that contradicts itself.

    Args:
        samples: Samples decoded from the enrollment's own code statistics.
        errors: Its own squared errors on them.
        mu: Mean error that it reports for its own pictures.
        sigma: Their standard deviation.
        limit: The largest error that it claims.

    Raises:
        EnrollmentError: sigma is too small for its mu, it does not claim its own samples, they are
            all the same, or a number is NaN.
    """
    if not sigma >= (LEAST_SPREAD - _ROUNDING) * mu:
        raise EnrollmentError(
            f"expected sigma of at least {LEAST_SPREAD:g} mu, got {sigma:.3g} and mu {mu:.3g}; "
            "enroll again with this version"
        )
    own = float((errors <= limit).float().mean())
    if not own >= LEAST_OWN:
        raise EnrollmentError(
            f"expected an enrollment that claims what it decodes itself, got one that claims "
            f"{own:.0%} of it; enroll again"
        )
    varied = float(samples.var(0).sum())
    if not varied >= LEAST_VARIED * mu:
        raise EnrollmentError(
            "expected an enrollment whose samples differ from each other, got one that returns "
            "nearly the same picture for all; enroll pictures that differ"
        )
