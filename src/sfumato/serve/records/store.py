"""Enrollments in the database. Each function is one transaction: done and synced, or not at all.

Whoever changes the bank holds `change_lock`. Every change leaves a row that tells the other
processes (`changes`), and an entry in the audit log.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, cast

from sqlalchemy import Engine, Select, and_, delete, func, or_, select, union, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sfumato.errors import BankError, RequestError
from sfumato.filter.enrollment import MOST_COPIES
from sfumato.filter.neardup import BYTES
from sfumato.filter.rule.guard import ALPHA
from sfumato.filter.rule.screening import Likeness
from sfumato.serve.database.clock import Clock, as_text
from sfumato.serve.database.db import changing, reading, writing
from sfumato.serve.database.tables import (
    AccountRow,
    AnchorRow,
    AuditRow,
    BankRow,
    ChangeRow,
    ContentRow,
    ContestRow,
    EnrollmentRow,
    ErasureRow,
)
from sfumato.serve.records.audit_log import record
from sfumato.serve.records.shard_share import WHOLE, Share
from sfumato.serve.wire import Status

Kind = Literal["add", "remove", "rules"]
_HEADER_BYTES: Final = 16 << 10
_CHUNK: Final = 64  # rows read at once: 32 MiB of content at D = 2,048 and M = 32
_SENT: Final = "enroll: "  # with what became of it: an action of the audit log
_ID: Final = re.compile(r"[0-9a-f]{32}")


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
        return 4 * (2 * m * d + m + d + m + m * m) + BYTES * MOST_COPIES + _HEADER_BYTES


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
    arrival: int = 0
    """Its place in the order in which all came, from 1; 0 for one that is not stored yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of the bank, for the processes that did not make it."""

    sequence: int
    kind: Kind
    enrollment: str


class Store:
    """The enrollments of one database."""

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        self.engine = engine
        self.clock = clock or Clock(engine)

    def terms(self) -> Terms | None:
        """Return what this bank's enrollments fit, or None where nobody said so yet."""
        with reading(self.engine) as session:
            row = session.scalar(select(BankRow))
            return row and Terms(backbone=row.backbone, dim=row.dim, hidden=row.hidden)

    def fix_terms(self, wanted: Terms) -> None:
        """Fix the terms of a new database, or check that they are those of this one.

        Raises:
            BankError: this database was made for another backbone or size.
        """
        found = self.terms() or self._fixed(wanted)
        if found != wanted:
            raise BankError(
                f"this database holds enrollments for backbone {found.backbone[:12]}..., "
                f"D = {found.dim}, M = {found.hidden}; got backbone {wanted.backbone[:12]}..., "
                f"D = {wanted.dim}, M = {wanted.hidden}; start it with the former, or take another"
            )

    def entries(
        self, *, account_id: int | None = None, status: Status | None = None
    ) -> list[Entry]:
        """Return the enrollments of an account, of a status, or all, in the order of arrival."""
        query = select(EnrollmentRow, AccountRow.name).join(
            AccountRow, AccountRow.id == EnrollmentRow.account_id
        )
        if account_id is not None:
            query = query.where(EnrollmentRow.account_id == account_id)
        if status is not None:
            query = query.where(EnrollmentRow.status == status)
        with reading(self.engine) as session:
            rows = session.execute(query.order_by(EnrollmentRow.sequence)).all()
            return [_entry(row, name) for row, name in rows]

    def entry(self, enrollment_id: str) -> Entry | None:
        """Return one enrollment, without its content."""
        if not is_id(enrollment_id):
            return None
        query = select(EnrollmentRow, AccountRow.name).join(
            AccountRow, AccountRow.id == EnrollmentRow.account_id
        )
        with reading(self.engine) as session:
            found = session.execute(query.where(EnrollmentRow.id == enrollment_id)).one_or_none()
            return found and _entry(*found)

    def find(self, enrollment_id: str) -> tuple[Stored, Entry] | None:
        """Return one enrollment with its content."""
        if not is_id(enrollment_id):
            return None
        with reading(self.engine) as session:
            name = session.scalars(
                select(AccountRow.name)
                .join(EnrollmentRow, AccountRow.id == EnrollmentRow.account_id)
                .where(EnrollmentRow.id == enrollment_id)
            ).one_or_none()
            rows = _whole(session, [enrollment_id])
            if name is None or not rows:
                return None
            return _stored(*rows[0]), _entry(rows[0][0], name)

    def tries(self, account_id: int, name: str, *, days: float) -> int:
        """Return how many enrollments an account holds or has sent within some days.

        Quarantined ones count, and those that were erased, rejected or refused since.
        """
        since = as_text(self.clock.now() - timedelta(days=days))
        held = select(EnrollmentRow.id).where(EnrollmentRow.account_id == account_id)
        sent = select(AuditRow.subject).where(
            AuditRow.actor == name, AuditRow.created >= since, AuditRow.action.startswith(_SENT)
        )
        return self._count(select(func.count()).select_from(union(held, sent).subquery()))

    def held(self, account_id: int) -> list[Stored]:
        """Return the active enrollments of an account."""
        wanted = self.held_ids(account_id)
        with reading(self.engine) as session:
            return [_stored(row, content) for row, content in _whole(session, wanted)]

    def held_ids(self, account_id: int) -> frozenset[str]:
        """Return the ids of the active enrollments of an account."""
        query = select(EnrollmentRow.id).where(
            EnrollmentRow.account_id == account_id, EnrollmentRow.status == "active"
        )
        with reading(self.engine) as session:
            return frozenset(session.scalars(query))

    def arrivals(self, hours: float = 1.0) -> int:
        """Return how many enrollments came in the last hours, from anybody."""
        since = as_text(self.clock.now() - timedelta(hours=hours))
        return self._count(select(func.count()).where(EnrollmentRow.created >= since))

    def active(self, share: Share = WHOLE) -> Generator[Stored]:
        """Yield the active enrollments of a share, in the order of arrival, a few at a time."""
        wanted = [id_ for id_ in self.active_ids() if share.holds(id_)]
        with reading(self.engine) as session:
            for start in range(0, len(wanted), _CHUNK):
                chunk = _whole(session, wanted[start : start + _CHUNK])
                yield from (_stored(row, content) for row, content in chunk)
                session.expunge_all()

    def active_ids(self) -> list[str]:
        """Return the ids of all active enrollments, in the order of arrival."""
        query = select(EnrollmentRow.id).where(EnrollmentRow.status == "active")
        with reading(self.engine) as session:
            return list(session.scalars(query.order_by(EnrollmentRow.sequence)).all())

    def anchors(self, policy: str) -> dict[str, float]:
        """Return the anchors that are known under the policy of this digest, by enrollment."""
        query = select(AnchorRow.enrollment, AnchorRow.anchor).where(AnchorRow.policy == policy)
        with reading(self.engine) as session:
            return {row.enrollment: row.anchor for row in session.execute(query)}

    def keep_anchors(self, policy: str, anchors: Mapping[str, float]) -> None:
        """Keep anchors under the policy of this digest, but for enrollments erased meanwhile."""
        if not anchors:
            return
        known = select(AnchorRow.enrollment).where(AnchorRow.policy == policy)
        missing = select(EnrollmentRow.id).where(EnrollmentRow.id.not_in(known))
        # An erasure meanwhile would take away what an anchor is about.
        with changing(self.engine) as session:
            session.add_all(
                AnchorRow(policy=policy, enrollment=name, anchor=anchors[name])
                for name in session.scalars(missing).all()
                if name in anchors
            )

    def earliest(self, ids: Iterable[str]) -> str | None:
        """Return which of these enrollments came first, or None where none is left."""
        query = select(EnrollmentRow.id).where(EnrollmentRow.id.in_(list(ids)))
        with reading(self.engine) as session:
            return session.scalars(query.order_by(EnrollmentRow.sequence).limit(1)).first()

    def contests(self, enrollment_id: str | None = None) -> list[Likeness]:
        """Return the contested pairs: all, or those that an enrollment is in."""
        query = select(ContestRow)
        if enrollment_id is not None:
            either = (ContestRow.overrider, ContestRow.claimant)
            query = query.where(or_(*(column == enrollment_id for column in either)))
        with reading(self.engine) as session:
            return [
                Likeness(overrider=row.overrider, claimant=row.claimant, value=row.likeness)
                for row in session.scalars(query)
            ]

    def changes(self, after: int) -> list[Change]:
        """Return what changed after the change of this sequence, in order."""
        query = select(ChangeRow).where(ChangeRow.sequence > after).order_by(ChangeRow.sequence)
        with reading(self.engine) as session:
            return [
                Change(
                    sequence=row.sequence,
                    kind=cast("Kind", row.kind),
                    enrollment=row.enrollment,
                )
                for row in session.scalars(query)
            ]

    def last_change(self) -> int:
        """Return the sequence of the last change, 0 where there is none."""
        return self._count(select(func.max(ChangeRow.sequence)))

    def insert(
        self,
        stored: Stored,
        *,
        status: Status,
        reason: str,
        contests: Iterable[Likeness] = (),
    ) -> Entry:
        """Store an enrollment and its contested pairs; on return they are on disk.

        Raises:
            RequestError: 409 somebody else enrolled this very file in the meantime.
            StorageError: the disk is full; nothing was stored.
        """
        at = self.clock.text()
        row = EnrollmentRow(
            id=stored.id,
            account_id=stored.account_id,
            status=status,
            reason=reason,
            created=at,
        )
        try:
            with changing(self.engine) as session:
                session.add(row)
                session.flush()
                session.add(ContentRow(enrollment=stored.id, content=stored.content))
                session.add_all(_contests(contests))
                # The same file again: its bytes are to be there, whoever erased it before.
                session.execute(delete(ErasureRow).where(ErasureRow.enrollment == stored.id))
                name = session.scalars(
                    select(AccountRow.name).filter_by(id=stored.account_id)
                ).one()
                if status == "active":
                    session.add(ChangeRow(kind="add", enrollment=stored.id))
                record(session, at=at, actor=name, action=f"{_SENT}{status}", subject=stored.id)
                return _entry(row, name)
        except IntegrityError as error:
            raise RequestError(409, "this enrollment is already enrolled") from error

    def refuse(self, enrollment_id: str, name: str) -> None:
        """Note in the audit log that an account's enrollment was refused: a try, too."""
        with changing(self.engine) as session:
            at = self.clock.text()
            record(session, at=at, actor=name, action=f"{_SENT}refused", subject=enrollment_id)

    def admit(self, enrollment_id: str, contests: Iterable[Likeness], *, actor: str) -> None:
        """Let a quarantined enrollment count, as a moderator decided.

        Contested pairs with enrollments that were erased meanwhile are left out.

        Raises:
            RequestError: 404 it was erased or admitted meanwhile.
        """
        with changing(self.engine) as session:
            found = session.execute(
                update(EnrollmentRow)
                .where(EnrollmentRow.id == enrollment_id, EnrollmentRow.status == "quarantined")
                .values(status="active", reason="admitted by a moderator")
                .returning(EnrollmentRow.id)
            ).all()
            if not found:
                raise RequestError(404, f"no enrollment {enrollment_id[:40]!r} is quarantined")
            session.add_all(_contests(_standing(session, contests)))
            session.add(ChangeRow(kind="add", enrollment=enrollment_id))
            at = self.clock.text()
            record(session, at=at, actor=actor, action="admit", subject=enrollment_id)

    def _fixed(self, wanted: Terms) -> Terms:
        row = BankRow(
            id=1,
            backbone=wanted.backbone,
            dim=wanted.dim,
            hidden=wanted.hidden,
            alpha=ALPHA,
            enforced=1.0,
            rollout_seed=secrets.token_hex(16),
        )
        try:
            with writing(self.engine) as session:
                session.add(row)
        except IntegrityError:
            found = self.terms()  # another process was first
            if found is None:
                raise
            return found
        return wanted

    def _count(self, query: Select[Any]) -> int:
        with reading(self.engine) as session:
            return session.scalar(query) or 0


def is_id(text: str) -> bool:
    """Return whether a text may be the id of an enrollment."""
    return _ID.fullmatch(text) is not None


def _standing(session: Session, pairs: Iterable[Likeness]) -> list[Likeness]:
    every = list(pairs)
    names = {name for pair in every for name in (pair.overrider, pair.claimant)}
    there = set(session.scalars(select(EnrollmentRow.id).where(EnrollmentRow.id.in_(names))))
    return [pair for pair in every if {pair.overrider, pair.claimant} <= there]


def _contests(pairs: Iterable[Likeness]) -> list[ContestRow]:
    return [
        ContestRow(overrider=pair.overrider, claimant=pair.claimant, likeness=pair.value)
        for pair in pairs
    ]


def _whole(session: Session, ids: Collection[str]) -> Sequence[tuple[EnrollmentRow, bytes]]:
    """Return enrollments with their files, in the order of arrival."""
    # The ids stand twice: so PostgreSQL looks into no other part of the files.
    its_file = and_(ContentRow.enrollment == EnrollmentRow.id, ContentRow.enrollment.in_(ids))
    # A file that is not there is damage; who opens it says of which enrollment.
    content = func.coalesce(ContentRow.content, b"")
    query = select(EnrollmentRow, content).outerjoin(ContentRow, its_file)
    wanted = query.where(EnrollmentRow.id.in_(ids)).order_by(EnrollmentRow.sequence)
    return [(row, content) for row, content in session.execute(wanted)]


def _stored(row: EnrollmentRow, content: bytes) -> Stored:
    return Stored(id=row.id, account_id=row.account_id, content=content, arrival=row.sequence)


def _entry(row: EnrollmentRow, account: str) -> Entry:
    return Entry(
        id=row.id,
        account=account,
        status=cast("Status", row.status),
        reason=row.reason,
        created=row.created,
    )
