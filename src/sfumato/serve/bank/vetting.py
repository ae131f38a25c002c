"""Whether an enrollment that fits the bank may count at once: all that a platform can tell."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from sfumato.errors import EnrollmentError
from sfumato.features.policy import Policy
from sfumato.filter.bank.bank import Bank
from sfumato.filter.enrollment import Enrollment, SignedEnrollment, open_enrollment
from sfumato.filter.rule.calibration import Rarity, anchors
from sfumato.filter.rule.claiming import check_own, claim_limit, false_claims, most_claims
from sfumato.filter.rule.screening import SAMPLES
from sfumato.serve.bank.interface import Deciding
from sfumato.serve.records.store import Stored

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
    alone = _bank([("", enrollment)])
    # One that could foresee the samples could be made to claim these alone.
    samples = alone.samples("", SAMPLES, seed=secrets.randbits(32))
    if not bool(samples.isfinite().all()):
        raise EnrollmentError("expected an enrollment that decodes numbers, got NaN; enroll again")
    check_own(
        samples,
        alone.errors(samples)[:, 0],
        mu=enrollment.mu,
        sigma=enrollment.sigma,
        limit=claim_limit(enrollment.mu, enrollment.sigma),
    )


def objection(
    state: Deciding,
    signed: SignedEnrollment,
    account_id: int,
    held: Sequence[Stored],
) -> str:
    """Return why a moderator has to look at an enrollment before it counts; '' where none has to.

    What an account's enrollments claim at large is counted on the public pictures of the bank's
    policy. Without a policy, samples of the other enrollments stand in for them.

    Args:
        state: The bank that it comes to.
        signed: The enrollment.
        account_id: Whose it is.
        held: The active enrollments of that account.
    """
    screening = state.screen(signed.id, signed.enrollment, account_id)
    if screening.contested:
        return _ALIKE
    if screening.copied:
        return _COPIED
    if state.policy is None:
        return _BROAD if screening.broad else ""
    every = [signed.enrollment, *(open_enrollment(one.content).enrollment for one in held)]
    return _FALSE if _claim_too_much(every, state, state.policy) else ""


def _claim_too_much(enrollments: Sequence[Enrollment], state: Deciding, policy: Policy) -> bool:
    """Return whether enrollments of one account claim more of the public than their share."""
    errors = _bank([(str(i), one) for i, one in enumerate(enrollments)]).errors(policy.cohort)
    size = len(state) + 1
    target = state.rules.threshold(None, policy)
    limits = Rarity(anchors(errors), policy.dimension, size).limits(target)
    expected = len(policy.cohort) * 10**target * len(enrollments) / size
    return false_claims(errors, limits) > most_claims(expected)


def _bank(enrollments: Sequence[tuple[str, Enrollment]]) -> Bank:
    first = enrollments[0][1]
    made = Bank.empty(first.dim, first.hidden, backbone=first.backbone)
    for name, enrollment in enrollments:
        made.add(name, enrollment)
    return made
