"""The checks that an enrollment must pass before it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sfumato.errors import EnrollmentError, RequestError
from sfumato.filter.enrollment import Enrollment, open_enrollment
from sfumato.filter.neardup import available
from sfumato.filter.rule.screening import concluded
from sfumato.serve.bank.follow import Follower
from sfumato.serve.bank.interface import Deciding
from sfumato.serve.bank.screened import Newcomer, Screened, screened
from sfumato.serve.bank.vetting import check_itself, objection
from sfumato.serve.records.auth import Account
from sfumato.serve.records.store import Entry, Store, Stored, Terms
from sfumato.serve.wire import Status

TRY_DAYS: Final = 7.0
"""For so long an enrollment counts towards its account's quota, whatever became of it."""
_FLOOD: Final = "many enrollments arrived within the hour"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Lets enrollments count. Safe to use from many threads and processes."""

    store: Store
    state: Deciding
    follower: Follower
    """Of that state."""
    quota: int
    """Enrollments that an account may have sent."""
    flood: int
    """Enrollments within an hour, from all accounts, after which more wait for a moderator: one
    person could open many accounts to claim pictures of others."""

    def enroll(self, account: Account, content: bytes) -> Entry:
        """Check an enrollment file, screen it and store it; sent twice, it is stored once.

        Tries count: what an account erased, a moderator rejected or this refused counts towards
        the quota for `TRY_DAYS`. Else whoever is told what counts could search for the widest
        claim.

        Raises:
            EnrollmentError: it is malformed, forged, contradicts itself or does not fit this bank.
            RequestError: 409 somebody else enrolled it, 403 the account's quota is used up, 503
                too many arrive at once.
            StorageError: the disk is full; nothing was stored.
        """
        signed = open_enrollment(content)
        check_terms(signed.enrollment, self.state.terms)
        known = self._known(account, signed.id)
        if known is not None:
            return known
        try:
            check_itself(signed.enrollment)
        except EnrollmentError:
            self.store.refuse(signed.id, account.name)
            raise
        newcomer = Newcomer(id=signed.id, enrollment=signed.enrollment, account_id=account.id)
        with screened(self.store, self.state, self.follower, newcomer) as found:
            known = self._known(account, signed.id)
            if known is not None:
                return known
            stored = Stored(id=signed.id, account_id=account.id, content=content)
            reason = self._reason(found)
            status: Status = "quarantined" if reason else "active"
            return self.store.insert(stored, status=status, reason=reason)

    def readmit(self, enrollment_id: str, *, actor: str) -> None:
        """Let a quarantined enrollment count, as a moderator decided.

        It is screened again, because the bank changed while it waited. Its contested pairs stay
        contested: an admitted enrollment claims pictures, but never overrides the one it resembles.

        Raises:
            RequestError: 404 no such enrollment waits, 503 too many arrive at once.
        """
        stored = self._waiting(enrollment_id)
        newcomer = Newcomer(
            id=stored.id,
            enrollment=open_enrollment(stored.content).enrollment,
            account_id=stored.account_id,
        )
        with screened(self.store, self.state, self.follower, newcomer) as found:
            self._waiting(enrollment_id)
            contests = concluded([found.comparison]).contested
            self.store.admit(stored.id, contests, actor=actor)

    def _known(self, account: Account, enrollment_id: str) -> Entry | None:
        """Return an enrollment that is there already: its answer got lost, and is asked for again.

        Raises:
            RequestError: 409 it is somebody else's, 403 there is no room for one more.
        """
        known = self.store.find(enrollment_id)
        if known is not None:
            if known[0].account_id != account.id:
                raise RequestError(409, "this enrollment is already enrolled")
            return known[1]
        if self.store.tries(account.id, account.name, days=TRY_DAYS) >= self.quota:
            raise RequestError(
                403,
                f"expected at most {self.quota} enrollments an account, with those of the last "
                f"{TRY_DAYS:g} days that are gone; erase one, or wait",
            )
        return None

    def _reason(self, found: Screened) -> str:
        reason = objection(self.state, concluded([found.comparison]), found.errors)
        if not reason and self.store.arrivals() >= self.flood:
            return _FLOOD
        return reason

    def _waiting(self, enrollment_id: str) -> Stored:
        found = self.store.find(enrollment_id)
        if found is None or found[1].status != "quarantined":
            raise RequestError(404, f"no enrollment {enrollment_id[:40]!r} is quarantined")
        return found[0]


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
