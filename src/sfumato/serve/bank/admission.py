"""The checks that an enrollment must pass before it counts."""

from __future__ import annotations

from typing import Final

from sfumato.errors import EnrollmentError, RequestError
from sfumato.filter.enrollment import Enrollment, open_enrollment
from sfumato.filter.neardup import available
from sfumato.serve.bank.interface import Deciding
from sfumato.serve.bank.vetting import check_itself, objection
from sfumato.serve.records.auth import Account
from sfumato.serve.records.store import Entry, Store, Stored, Terms

TRY_DAYS: Final = 7.0
"""For so long an enrollment counts towards its account's quota, whatever became of it."""
_FLOOD: Final = "many enrollments arrived within the hour"


def admit(
    store: Store, state: Deciding, account: Account, content: bytes, *, quota: int, flood: int
) -> Entry:
    """Check an enrollment file, screen it and store it; call this under the change lock.

    Tries count: what an account erased, a moderator rejected or this refused counts towards the
    quota for `TRY_DAYS`. Else whoever is told what counts could search for the widest claim.

    After `flood` enrollments within an hour, from all accounts, further ones wait for a moderator:
    one person could open many accounts to claim pictures of others.

    Args:
        store: The database.
        state: The bank that decides.
        account: Whose enrollment it is.
        content: The enrollment file.
        quota: Enrollments that an account may have sent.
        flood: Enrollments within an hour.

    Raises:
        EnrollmentError: it is malformed, forged, contradicts itself or does not fit this bank.
        RequestError: 409 somebody else enrolled it, 403 the account's quota is used up.
        StorageError: the disk is full; nothing was stored.
    """
    signed = open_enrollment(content)
    check_terms(signed.enrollment, state.terms)
    known = store.find(signed.id)
    if known is not None:
        if known[0].account_id != account.id:
            raise RequestError(409, "this enrollment is already enrolled")
        return known[1]  # the answer got lost, and is asked for again
    if store.tries(account.id, account.name, days=TRY_DAYS) >= quota:
        raise RequestError(
            403,
            f"expected at most {quota} enrollments an account, with those of the last "
            f"{TRY_DAYS:g} days that are gone; erase one, or wait",
        )
    try:
        check_itself(signed.enrollment)
    except EnrollmentError:
        store.refuse(signed.id, account.name)
        raise
    stored = Stored(id=signed.id, account_id=account.id, content=content)
    reason = objection(state, signed, account.id, store.held(account.id))
    if not reason and store.arrivals() >= flood:
        reason = _FLOOD
    return store.insert(stored, status="quarantined" if reason else "active", reason=reason)


def readmit(store: Store, state: Deciding, stored: Stored, *, actor: str) -> None:
    """Let a quarantined enrollment count, as a moderator decided.

    It is screened again, because the bank changed while it waited. Its contested pairs stay
    contested: an admitted enrollment claims pictures, but never overrides the one it resembles.
    """
    enrollment = open_enrollment(stored.content).enrollment
    contests = state.screen(stored.id, enrollment, stored.account_id).contested
    store.admit(stored.id, contests, actor=actor)


def check_terms(enrollment: Enrollment, terms: Terms) -> None:
    """Raise an EnrollmentError unless the enrollment fits the bank."""
    if enrollment.copies is not None and not available():
        raise EnrollmentError(
            "near copies are not matched here (pdqhash is not installed); enroll without `copies`"
        )
    if enrollment.backbone != terms.backbone:
        raise EnrollmentError(
            f"expected an enrollment for backbone {terms.backbone[:12]}..., got one for "
            f"{enrollment.backbone[:12]}...; enroll again with the backbone of this service"
        )
    if (enrollment.dim, enrollment.hidden) != (terms.dim, terms.hidden):
        raise EnrollmentError(
            f"expected D = {terms.dim} and M = {terms.hidden}, got D = {enrollment.dim} and "
            f"M = {enrollment.hidden}; enroll again with `hidden` {terms.hidden}"
        )
