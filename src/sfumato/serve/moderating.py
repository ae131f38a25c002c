"""What a moderator does, for whoever may open the database: no service need run."""

from __future__ import annotations

from typing import Final

from sfumato.errors import BankError, InputError
from sfumato.features.stored import Stored
from sfumato.serve.local import admission_of
from sfumato.serve.records.audit_log import COMMAND_LINE
from sfumato.serve.records.erasures import erase, finish
from sfumato.serve.records.store import Entry, Store

_LEAST: Final = 8  # digits of an id, so that a slip does not name another one


def admit(store: Store, enrollment_id: str, *, backbone: Stored | None) -> Entry:
    """Let a quarantined enrollment count, given the first 8 or more digits of its id.

    It is screened again, and stays contested with what it resembles.

    Raises:
        InputError: no quarantined enrollment, or more than one, has such an id.
        EnrollmentError: no reader accepts its numbers any more.
        BankError: `backbone` is not the bank's.
    """
    entry, terms = waiting(store, enrollment_id), store.terms()
    if terms is None:
        raise BankError("the database has no enrollment yet; add one first")
    admission_of(store, terms, backbone).readmit(entry.id, actor=COMMAND_LINE)
    return entry


def reject(store: Store, enrollment_id: str) -> tuple[Entry, bool]:
    """Erase a quarantined enrollment, given the first 8 or more digits of its id.

    Returns:
        What it was, and whether no byte of it is left; see `local.remove`.

    Raises:
        InputError: no quarantined enrollment, or more than one, has such an id.
    """
    entry = waiting(store, enrollment_id)
    if not erase(store, entry.id, actor=COMMAND_LINE, only="quarantined"):
        waiting(store, enrollment_id)  # somebody else ruled on it meanwhile
    return entry, finish(store)


def waiting(store: Store, enrollment_id: str) -> Entry:
    """Return the quarantined enrollment whose id begins so.

    Raises:
        InputError: none does, or more than one.
    """
    found = [e for e in store.entries(status="quarantined") if e.id.startswith(enrollment_id)]
    if len(found) != 1 or len(enrollment_id) < _LEAST:
        raise InputError(
            f"expected {_LEAST} or more digits of one quarantined enrollment's id, "
            f"{enrollment_id!r} fits {len(found)}; 'sfumato filter moderate list' shows them"
        )
    return found[0]
