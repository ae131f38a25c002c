"""Whether an enrollment that fits the bank may count at once: all that a platform can tell."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.filter.bank.bank import Bank
from sfumato.filter.enrollment import Enrollment, SignedEnrollment, open_enrollment
from sfumato.filter.rule.claiming import MOST_FALSE, check_own, claim_limit, false_claims
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
    cohort: Float[Tensor, "n d"] | None,
) -> str:
    """Return why a moderator has to look at an enrollment before it counts; '' where none has to.

    Args:
        state: The bank that it comes to.
        signed: The enrollment.
        account_id: Whose it is.
        held: The active enrollments of that account.
        cohort: Features of public pictures that nobody enrolls. Without them, samples of the other
            enrollments stand in for them.
    """
    screening = state.screen(signed.id, signed.enrollment, account_id)
    if screening.contested:
        return _ALIKE
    if screening.copied:
        return _COPIED
    if cohort is None:
        return _BROAD if screening.broad else ""
    every = [signed.enrollment, *(open_enrollment(one.content).enrollment for one in held)]
    return _FALSE if _claimed(every, cohort) > MOST_FALSE else ""


def _claimed(enrollments: Sequence[Enrollment], cohort: Float[Tensor, "n d"]) -> float:
    """Return the share of the cohort that these enrollments claim together."""
    together = _bank([(str(i), one) for i, one in enumerate(enrollments)])
    limits = torch.tensor([claim_limit(one.mu, one.sigma) for one in enrollments])
    return false_claims(together.errors(cohort), limits)


def _bank(enrollments: Sequence[tuple[str, Enrollment]]) -> Bank:
    first = enrollments[0][1]
    made = Bank.empty(first.dim, first.hidden, backbone=first.backbone)
    for name, enrollment in enrollments:
        made.add(name, enrollment)
    return made
