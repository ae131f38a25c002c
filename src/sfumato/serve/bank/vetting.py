"""Whether an enrollment that fits the bank may count at once: all that a platform can tell."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from sfumato.features.policy import Policy
from sfumato.filter.bank.bank import Bank
from sfumato.filter.enrollment import Enrollment, SignedEnrollment, open_enrollment
from sfumato.filter.rule.calibration import Rarity, anchors
from sfumato.filter.rule.claiming import MOST_TIMES, check_own, claim_limit, false_claims
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

    Args:
        state: The bank that it comes to.
        signed: The enrollment.
        account_id: Whose it is.
        held: The active enrollments of that account.

    False claims are measured on the public pictures of the bank's policy. Where it has none,
    samples of the other enrollments stand in for them.
    """
    screening = state.screen(signed.id, signed.enrollment, account_id)
    if screening.contested:
        return _ALIKE
    if screening.copied:
        return _COPIED
    if state.policy is None:
        return _BROAD if screening.broad else ""
    every = [signed.enrollment, *(open_enrollment(one.content).enrollment for one in held)]
    rare = state.rules.threshold(account_id, state.policy)
    size = len(state) + 1
    return _FALSE if _claimed(every, state.policy, rare, size) > MOST_TIMES * 10**rare else ""


def _claimed(enrollments: Sequence[Enrollment], policy: Policy, rare: float, size: int) -> float:
    """Return the share of the public pictures that these claim together in a bank of that size."""
    together = _bank([(str(i), one) for i, one in enumerate(enrollments)])
    errors = together.errors(policy.cohort)
    unit = Rarity(anchors(errors), policy.dimension, size)
    return false_claims(errors, unit.limits(rare))


def _bank(enrollments: Sequence[tuple[str, Enrollment]]) -> Bank:
    first = enrollments[0][1]
    made = Bank.empty(first.dim, first.hidden, backbone=first.backbone)
    for name, enrollment in enrollments:
        made.add(name, enrollment)
    return made
