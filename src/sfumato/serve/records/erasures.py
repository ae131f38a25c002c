"""Erasures: asked for once, on record until no byte is left, and proven afterwards.

An erased enrollment is gone from every query when its erasure is on record. Its bytes are still in
the database's files, until those are rid of them (`database.erasing`); a killed process forgets no
erasure, because the record is written with the deletion.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine, bindparam, delete, func, select, update

from sfumato.errors import BankError
from sfumato.serve.database.db import changing, reading, writing
from sfumato.serve.database.erasing import forget, rewrite
from sfumato.serve.database.remains import Marks, marks_of
from sfumato.serve.database.tables import ChangeRow, ContentRow, EnrollmentRow, ErasureRow
from sfumato.serve.database.url import sqlite_path
from sfumato.serve.records.audit_log import record
from sfumato.serve.records.store import Store, is_id
from sfumato.serve.wire import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """One erasure, as its account sees it."""

    id: str
    """The enrollment's."""
    requested: str
    done: str | None
    """When no byte of it was left in the database's files; None before."""


@dataclass(frozen=True, slots=True)
class Erased:
    """How many enrollments were erased, and of how many bytes are still to go."""

    done: int
    pending: int


def erase(store: Store, enrollment_id: str, *, actor: str, only: Status | None = None) -> bool:
    """Erase an enrollment: when this returns no query finds it, and that it must go is on record.

    Returns whether it was there, with the status `only` if one is given.

    Raises:
        StorageError: the disk is full; nothing was changed.
    """
    content = select(ContentRow.content).where(ContentRow.enrollment == enrollment_id)
    with changing(store.engine) as session:
        row = session.scalars(select(EnrollmentRow).filter_by(id=enrollment_id)).one_or_none()
        if row is None or (only is not None and row.status != only):
            return False
        proven = sqlite_path(store.engine) is not None
        # Who erases may well do so because the file is damaged, or not there.
        marks = marks_of(session.scalars(content).one_or_none() or b"") if proven else b""
        at, account = store.clock.text(), row.account_id
        session.execute(delete(EnrollmentRow).where(EnrollmentRow.id == enrollment_id))
        session.add(
            ErasureRow(enrollment=enrollment_id, account_id=account, requested=at, marks=marks)
        )
        session.add(ChangeRow(kind="remove", enrollment=enrollment_id))
        record(session, at=at, actor=actor, action="erase", subject=enrollment_id)
    return True


Rid = Callable[[Engine, Collection[str]], Collection[str]]
"""Rids the database's files of the enrollments of these ids; returns of which it did."""


def finish(store: Store, rid: Rid = forget) -> bool:
    """Try once to rid the files of all that was erased; return whether nothing is left to do.

    Raises:
        ServiceError: the database does not answer.
        StorageError: the disk is full.
    """
    wanted = _waiting(store)
    if not wanted:
        return True
    gone = set(rid(store.engine, wanted))
    _note_done(store, {name: at for name, at in wanted.items() if name in gone})
    return len(gone) == len(wanted)


def purge(store: Store) -> None:
    """Rid the files of all that was ever erased, by rewriting them; others wait meanwhile.

    Raises:
        ServiceError, StorageError: as `database.erasing.rewrite`.
    """
    wanted = _waiting(store)
    rewrite(store.engine)
    _note_done(store, wanted)


def _waiting(store: Store) -> dict[str, str]:
    """Return the enrollments of which bytes may be left, and when each was erased."""
    query = select(ErasureRow.enrollment, ErasureRow.requested).where(ErasureRow.done.is_(None))
    with reading(store.engine) as session:
        return {row.enrollment: row.requested for row in session.execute(query)}


def _note_done(store: Store, gone: Mapping[str, str]) -> None:
    # By time: of one that was enrolled and erased again meanwhile, bytes may be left. Not by
    # number: SQLite gives the last one's number to the next, once that is deleted.
    finished = update(ErasureRow).where(
        ErasureRow.enrollment == bindparam("name"),
        ErasureRow.requested == bindparam("at"),
        ErasureRow.done.is_(None),
    )
    if gone:
        rows = [{"name": name, "at": at} for name, at in gone.items()]
        with writing(store.engine) as session:
            session.connection().execute(finished.values(done=store.clock.text()), rows)


def erasures(store: Store, account_id: int) -> list[Erasure]:
    """Return the erasures of an account, the last one first."""
    query = select(ErasureRow).where(ErasureRow.account_id == account_id)
    with reading(store.engine) as session:
        rows = session.scalars(query.order_by(ErasureRow.requested.desc()))
        return [_shown(row) for row in rows]


def erasure(store: Store, account_id: int, enrollment_id: str) -> Erasure | None:
    """Return the erasure of one enrollment of an account, or None where it asked for none."""
    query = select(ErasureRow).filter_by(account_id=account_id, enrollment=enrollment_id)
    with reading(store.engine) as session:
        row = session.scalars(query).one_or_none() if is_id(enrollment_id) else None
        return None if row is None else _shown(row)


def count(engine: Engine) -> Erased:
    """Return how many there are."""
    query = select(func.count(ErasureRow.done), func.count())
    with reading(engine) as session:
        done, every = session.execute(query.select_from(ErasureRow)).one()
    return Erased(done, every - done)


def prove(engine: Engine, live: Iterable[bytes]) -> Erased:
    """Look for the bytes of finished erasures in the files of a SQLite database.

    PostgreSQL gives a client no look at its files: there this only counts.

    Args:
        engine: The database.
        live: The content of every enrollment that it holds.

    Raises:
        BankError: some are left.
    """
    query = select(ErasureRow.marks).where(ErasureRow.done.is_not(None))
    with reading(engine) as session:
        marks = Marks(session.scalars(query))
    for content in live:
        marks.leave_out(content)
    path = sqlite_path(engine)
    for part in () if path is None else (path, path.with_name(path.name + "-wal")):
        if left := marks.found_in(part):
            raise BankError(
                f"{part} still holds {left} pieces of enrollments that were erased; "
                "rid it of them with 'sfumato filter db purge'"
            )
    return count(engine)


def _shown(row: ErasureRow) -> Erasure:
    return Erasure(id=row.enrollment, requested=row.requested, done=row.done)
