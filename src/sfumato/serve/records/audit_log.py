"""The audit log: who did what to which account, enrollment or rule, and when.

It holds names, identifiers and settings; never a picture, a feature or a token. Triggers in the
database refuse to change or delete an entry. Each entry's digest covers the one before it, so a
change that circumvents the triggers is detected. If the last digest is kept elsewhere, removing
the last entries is detected as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from sfumato.errors import BankError
from sfumato.serve.database.db import reading
from sfumato.serve.database.tables import AuditRow

COMMAND_LINE: Final = "(command line)"
"""Who acts where no account does: someone who may open the database. No account has this name."""
_FIRST: Final = "0" * 64
Detail = Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class Event:
    """One entry."""

    sequence: int
    created: str
    actor: str
    action: str
    subject: str
    detail: str
    digest: str


def record(
    session: Session,
    *,
    at: str,
    actor: str,
    action: str,
    subject: str,
    detail: Detail | None = None,
) -> None:
    """Append an entry in the transaction that makes the change, so that neither is without it.

    The transaction is one of `changing`: else two entries would follow the same one.
    """
    last = session.scalar(select(AuditRow.digest).order_by(AuditRow.sequence.desc()).limit(1))
    fields = (at, actor, action, subject, json.dumps(dict(detail or {}), sort_keys=True))
    digest = _digest(last or _FIRST, fields)
    session.add(AuditRow(**dict(zip(_FIELDS, fields, strict=True)), digest=digest))
    session.flush()


def events(engine: Engine, *, after: int = 0, limit: int | None = None) -> Generator[Event]:
    """Yield the entries in their order, after the one of sequence `after`."""
    query = select(AuditRow).where(AuditRow.sequence > after).order_by(AuditRow.sequence)
    query = query.limit(limit).execution_options(yield_per=500)
    with reading(engine) as session, closing(session.scalars(query)) as rows:
        for row in rows:
            yield Event(
                row.sequence,
                row.created,
                row.actor,
                row.action,
                row.subject,
                row.detail,
                row.digest,
            )


def verify(engine: Engine) -> tuple[int, str]:
    """Recompute every digest; return how many entries there are, and the last digest.

    Raises:
        BankError: an entry was altered, or one before it removed.
    """
    count, last = 0, _FIRST
    with closing(events(engine)) as entries:
        for event in entries:
            last = _digest(last, tuple(getattr(event, name) for name in _FIELDS))
            if last != event.digest:
                raise BankError(
                    f"the audit log was altered at or before entry {event.sequence} "
                    f"({event.created[:19]}); compare it with a backup"
                )
            count += 1
    return count, last


_FIELDS: Final = ("created", "actor", "action", "subject", "detail")


def _digest(before: str, fields: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps([before, *fields]).encode()).hexdigest()
