"""Whether an enrollment that fits the bank may count at once: all that a platform can tell."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from jaxtyping import Float
from torch import Tensor

from sfumato.features.policy import Policy
from sfumato.filter.bank.bank import Bank
from sfumato.filter.enrollment import Enrollment
from sfumato.filter.rule.calibration import Rarity, anchors
from sfumato.filter.rule.claiming import check_own, claim_limit, false_claims, most_claims
from sfumato.filter.rule.screening import SAMPLES, Screening
from sfumato.serve.bank.interface import Deciding

# For moderators alone: an account that knew the reason could search for what it may not enroll.
_ALIKE: Final = "it resembles an earlier enrollment"
_COPIED: Final = "it has hashes of pictures that somebody else enrolled"
_FALSE: Final = "with the account's other enrollments it matches too many public pictures"
_BROAD: Final = "with the account's other enrollments it matches what many others enrolled"


def check_itself(enrollment: Enrollment) -> None:
    """Refuse an enrollment that contradicts itself; see `claiming.check_own`.

    Raises:
        EnrollmentError: it does.
    """
    alone = _bank([enrollment])
    # One that could foresee the samples could be made to claim these alone.
    samples = alone.samples("0", SAMPLES, seed=secrets.randbits(32))
    check_own(
        samples,
        alone.errors(samples)[:, 0],
        mu=enrollment.mu,
        sigma=enrollment.sigma,
        limit=claim_limit(enrollment.mu, enrollment.sigma),
    )


def public_errors(
    enrollments: Sequence[Enrollment], policy: Policy | None
) -> Float[Tensor, "public k"] | None:
    """Return each enrollment's error on each public picture; None where a bank has no policy."""
    return None if policy is None else _bank(enrollments).errors(policy.cohort)


def objection(
    state: Deciding, screening: Screening, errors: Float[Tensor, "public k"] | None
) -> str:
    """Return why a moderator has to look at an enrollment before it counts; '' where none has to.

    What an account's enrollments claim at large is counted on the public pictures of the bank's
    policy. Without a policy, samples of the other enrollments stand in for them.

    Args:
        state: The bank that it comes to.
        screening: The enrollment compared with everybody else's.
        errors: `public_errors` of the enrollment and the account's active ones.
    """
    if screening.contested:
        return _ALIKE
    if screening.copied:
        return _COPIED
    if state.policy is None or errors is None:
        return _BROAD if screening.broad else ""
    return _FALSE if _claim_too_much(errors, state, state.policy) else ""


def _claim_too_much(errors: Float[Tensor, "public k"], state: Deciding, policy: Policy) -> bool:
    """Return whether enrollments of one account claim more of the public than their share."""
    size = len(state) + 1
    target = state.rules.threshold(None, policy)
    limits = Rarity(anchors(errors), policy.dimension, size).limits(target)
    expected = len(policy.cohort) * 10**target * errors.shape[1] / size
    return false_claims(errors, limits) > most_claims(expected)


def _bank(enrollments: Sequence[Enrollment]) -> Bank:
    first = enrollments[0]
    made = Bank.empty(first.dim, first.hidden, backbone=first.backbone)
    for number, enrollment in enumerate(enrollments):
        made.add(str(number), enrollment)
    return made
