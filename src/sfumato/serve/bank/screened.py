"""Holds the right to change the bank, with a newcomer that is screened against all of it.

Screening reads the whole bank, which takes seconds where it is large. So it is done before the
lock is taken. Under the lock a newcomer is compared with the few that arrived meanwhile alone.
Where more than a few did, or the account's own changed, that is made up for without the lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from jaxtyping import Float
from torch import Tensor

from sfumato.errors import EnrollmentError, RequestError
from sfumato.filter.enrollment import Enrollment, open_enrollment
from sfumato.filter.rule.screening import Comparison, joined
from sfumato.serve.bank.follow import Follower
from sfumato.serve.bank.interface import Deciding
from sfumato.serve.bank.memory import damaged
from sfumato.serve.bank.vetting import public_errors
from sfumato.serve.database.locks import change_lock
from sfumato.serve.records.store import Store, Stored

FEW: Final = 32
"""Newcomers that are compared under the lock: tens of milliseconds."""
_ROUNDS: Final = 8
_RETRY_SECONDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """Who is screened."""

    id: str
    enrollment: Enrollment
    account_id: int


@dataclass(frozen=True, slots=True)
class Screened:
    """What is known of a newcomer as of one change of the bank."""

    seen: int
    """The number of that change."""
    own: frozenset[str]
    """The account's active enrollments then."""
    comparison: Comparison
    errors: Float[Tensor, "public k"] | None
    """`public_errors` of the newcomer and the account's active enrollments."""


@contextmanager
def screened(
    store: Store, state: Deciding, follower: Follower, newcomer: Newcomer
) -> Iterator[Screened]:
    """Yield what is known of a newcomer as of now, while nobody else admits one.

    Raises:
        RequestError: 503 the bank changes faster than a newcomer can be compared with it.
        ServiceError: others held the lock for too long, or the database does not answer.
    """
    found = _screened(store, state, follower, newcomer)
    for _ in range(_ROUNDS):
        with change_lock(store.engine):
            follower.catch_up()
            changed = store.held_ids(newcomer.account_id) != found.own
            found, missing = _without_erased(store, found)
            if not changed and len(missing) <= FEW:
                yield _with(state, found, newcomer, missing)
                return
        if changed:
            found = _screened(store, state, follower, newcomer)
        else:
            found = _with(state, found, newcomer, missing)
    raise RequestError(
        503, "too many enrollments arrive at once; send it again", retry_after=_RETRY_SECONDS
    )


def _screened(store: Store, state: Deciding, follower: Follower, newcomer: Newcomer) -> Screened:
    follower.catch_up()
    seen = follower.seen  # before the comparison: what comes meanwhile is compared again
    held = store.held(newcomer.account_id)
    every = [newcomer.enrollment, *map(_opened, held)]
    comparison = state.screen(newcomer.id, newcomer.enrollment, newcomer.account_id)
    own = frozenset(one.id for one in held)
    return Screened(seen, own, comparison, public_errors(every, state.policy))


def _opened(stored: Stored) -> Enrollment:
    try:
        return open_enrollment(stored.content).enrollment
    except EnrollmentError as error:
        raise damaged(stored.id, error) from error  # and not the newcomer


def _without_erased(store: Store, found: Screened) -> tuple[Screened, set[str]]:
    """Return the comparison without those that are gone, and who came since."""
    came: set[str] = set()
    gone: set[str] = set()
    seen = found.seen
    for change in store.changes(seen):
        seen = change.sequence
        if change.kind == "add":
            came.add(change.enrollment)
        elif change.kind == "remove":
            came.discard(change.enrollment)
            gone.add(change.enrollment)
    pairs = tuple(
        pair
        for pair in found.comparison.contested
        if pair.overrider not in gone and pair.claimant not in gone
    )
    return replace(found, seen=seen, comparison=replace(found.comparison, contested=pairs)), came


def _with(state: Deciding, found: Screened, newcomer: Newcomer, came: set[str]) -> Screened:
    if not came:
        return found
    more = state.screen(newcomer.id, newcomer.enrollment, newcomer.account_id, came)
    return replace(found, comparison=joined([found.comparison, more]))
