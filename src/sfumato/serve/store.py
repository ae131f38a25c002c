"""Enrollments in the database. Each function is one transaction: done and synced, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, cast

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, undefer

from sfumato.errors import BankError, RequestError
from sfumato.filter.screening import Likeness
from sfumato.serve.db import (
    SCHEMA_VERSION,
    Account,
    BankRow,
    ContestRow,
    EnrollmentRow,
    forget,
    storage_errors,
)

Status = Literal["active", "quarantined"]
_HEADER_BYTES: Final = 16 << 10
_CHUNK: Final = 64  # rows read at once: 32 MiB of content at D = 2,048 and M = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What every enrollment of a bank must fit; fixed when the first process opens it."""

    backbone: str
    dim: int
    hidden: int

    @property
    def limit_bytes(self) -> int:
        """Size of an enrollment file of these terms, with ample room for its header."""
        m, d = self.hidden, self.dim
        return 4 * (2 * m * d + m + d + m + m * m) + _HEADER_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An enrollment as its owner and a moderator see it: without its content."""

    id: str
    account: str
    status: Status
    reason: str
    created: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An enrollment as it is loaded into the bank."""

    id: str
    account_id: int
    content: bytes


class Store:
    """The enrollments of one database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def terms(self) -> Terms | None:
        """Return what this bank's enrollments fit, or None where nobody said so yet."""
        with Session(self.engine) as session:
            row = session.scalar(select(BankRow))
            return row and Terms(backbone=row.backbone, dim=row.dim, hidden=row.hidden)

    def settle(self, wanted: Terms) -> None:
        """Fix the terms of a new database, or check that they are those of this one.

        Raises:
            BankError: this database was made for another backbone or size.
        """
        found = self.terms()
        if found is None:
            row = BankRow(
                version=SCHEMA_VERSION,
                backbone=wanted.backbone,
                dim=wanted.dim,
                hidden=wanted.hidden,
            )
            with storage_errors(), Session(self.engine) as session, session.begin():
                session.add(row)
        elif found != wanted:
            raise BankError(
                f"this database holds enrollments for backbone {found.backbone[:12]}..., "
                f"D = {found.dim}, M = {found.hidden}; got backbone {wanted.backbone[:12]}..., "
                f"D = {wanted.dim}, M = {wanted.hidden}; start it with the former, or take another"
            )

    def entries(
        self, *, account_id: int | None = None, status: Status | None = None
    ) -> list[Entry]:
        """Return the enrollments of an account, of a status, or all, in the order of arrival."""
        query = select(EnrollmentRow, Account.name).join(
            Account, Account.id == EnrollmentRow.account_id
        )
        if account_id is not None:
            query = query.where(EnrollmentRow.account_id == account_id)
        if status is not None:
            query = query.where(EnrollmentRow.status == status)
        with Session(self.engine) as session:
            rows = session.execute(query.order_by(EnrollmentRow.sequence)).all()
            return [_entry(row, name) for row, name in rows]

    def find(self, enrollment_id: str) -> tuple[Stored, Entry] | None:
        """Return one enrollment with its content."""
        with Session(self.engine) as session:
            found = session.execute(
                select(EnrollmentRow, Account.name)
                .join(Account, Account.id == EnrollmentRow.account_id)
                .where(EnrollmentRow.id == enrollment_id)
                .options(undefer(EnrollmentRow.content))
            ).one_or_none()
            return found and (_stored(found[0]), _entry(*found))

    def count(self, account_id: int) -> int:
        """Return how many enrollments an account holds, quarantined ones included."""
        query = select(func.count()).where(EnrollmentRow.account_id == account_id)
        with Session(self.engine) as session:
            return session.scalar(query) or 0

    def active(self) -> Iterator[Stored]:
        """Yield the enrollments that count, in the order of arrival, a few in memory at a time."""
        query = (
            select(EnrollmentRow)
            .where(EnrollmentRow.status == "active")
            .order_by(EnrollmentRow.sequence)
            .options(undefer(EnrollmentRow.content))
            .execution_options(yield_per=_CHUNK)
        )
        with Session(self.engine) as session:
            for row in session.scalars(query):
                yield _stored(row)
                session.expunge(row)

    def contests(self) -> list[Likeness]:
        """Return the contested pairs."""
        with Session(self.engine) as session:
            return [
                Likeness(overrider=row.overrider, claimant=row.claimant, value=row.likeness)
                for row in session.scalars(select(ContestRow))
            ]

    def insert(
        self, stored: Stored, *, status: Status, reason: str, contests: Iterable[Likeness] = ()
    ) -> Entry:
        """Store an enrollment and its contested pairs; on return they are on disk.

        Raises:
            RequestError: 409 somebody else enrolled this very file in the meantime.
            StorageError: the disk is full; nothing was stored.
        """
        row = EnrollmentRow(
            id=stored.id,
            account_id=stored.account_id,
            content=stored.content,
            status=status,
            reason=reason,
        )
        try:
            with storage_errors(), Session(self.engine) as session, session.begin():
                session.add(row)
                session.flush()
                session.add_all(_contests(contests))
                name = session.scalars(select(Account.name).filter_by(id=stored.account_id)).one()
                return _entry(row, name)
        except IntegrityError as error:
            raise RequestError(409, "this enrollment is already enrolled") from error

    def admit(self, enrollment_id: str, contests: Iterable[Likeness]) -> None:
        """Let a quarantined enrollment count, as a moderator decided."""
        with storage_errors(), Session(self.engine) as session, session.begin():
            session.execute(
                update(EnrollmentRow)
                .where(EnrollmentRow.id == enrollment_id)
                .values(status="active", reason="admitted by a moderator")
            )
            session.add_all(_contests(contests))

    def erase(self, enrollment_id: str) -> None:
        """Delete an enrollment for good: on return no byte of it is left in the files.

        Raises:
            ServiceError: it is deleted, but a reader still holds the log; erase it again.
        """
        with storage_errors(), Session(self.engine) as session, session.begin():
            session.execute(delete(EnrollmentRow).where(EnrollmentRow.id == enrollment_id))
        forget(self.engine)


def _contests(pairs: Iterable[Likeness]) -> list[ContestRow]:
    return [
        ContestRow(overrider=pair.overrider, claimant=pair.claimant, likeness=pair.value)
        for pair in pairs
    ]


def _stored(row: EnrollmentRow) -> Stored:
    return Stored(id=row.id, account_id=row.account_id, content=row.content)


def _entry(row: EnrollmentRow, account: str) -> Entry:
    return Entry(
        id=row.id,
        account=account,
        status=cast("Status", row.status),
        reason=row.reason,
        created=row.created,
    )
