"""What was blocked, who appealed, and what came of it. No picture, no feature."""

from __future__ import annotations

import re
import uuid
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, aliased

from sfumato.errors import RequestError
from sfumato.serve.database.db import reading, writing
from sfumato.serve.database.tables import AccountRow, DecisionRow, EnrollmentRow
from sfumato.serve.records.audit_log import record
from sfumato.serve.records.store import Store

Appeal = Literal["none", "open", "confirmed", "overturned"]
Claim = Literal["class", "copy"]
Ruling = Literal["confirm", "overturn"]
MOST_NOTE: Final = 1000
_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Against:
    """What stands against an upload."""

    claim: Claim
    enrollment: str
    margin: float
    """Sigmas inside the claim of a class, or bits inside that of a near copy."""
    score: float | None
    """Sigmas from the mean of that class; None for a near copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """An upload that something stands against, before it is on record."""

    id: str
    account_id: int
    against: Against
    enforced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A decision as a moderator sees it."""

    id: str
    account: str
    enrollment: str | None
    """What stood against it; None once that was erased."""
    claimant: str | None
    """The account whose enrollment that is."""
    enforced: bool
    claim: Claim
    margin: float
    score: float | None
    created: str
    appeal: Appeal
    note: str


@dataclass(frozen=True, slots=True)
class Ruled:
    """A blocked upload on which a moderator ruled."""

    account: int
    """Whose claim it was."""
    score: float
    """Sigmas from the mean of that class."""
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How often it came to what: over all, or for one enrollment."""

    enforced: int = 0
    observed: int = 0
    open: int = 0
    confirmed: int = 0
    overturned: int = 0


def new_id() -> str:
    """Return the identifier of a decision: random, so that it tells nothing."""
    return uuid.uuid4().hex


def keep_blocks(store: Store, uploads: Sequence[Stopped]) -> list[None]:
    """Record that enrollments stood against uploads: all on disk when it returns, or none.

    One sync to disk pays for all of them.
    """
    with writing(store.engine) as session:
        claimants = {upload.against.enrollment for upload in uploads}
        there = set(
            session.scalars(select(EnrollmentRow.id).where(EnrollmentRow.id.in_(claimants)))
        )
        created = store.clock.text()
        session.add_all(_decision(upload, there, created) for upload in uploads)
    return [None] * len(uploads)


def appeal(store: Store, id_: str, *, account_id: int, actor: str, note: str) -> None:
    """Ask a moderator to look at a decision again; the uploader may, once.

    Raises:
        RequestError: 404 this account was not blocked under this id, 409 it appealed already.
    """
    with writing(store.engine) as session:
        row = _row(session, id_)
        if row is None or row.account_id != account_id or not row.enforced:
            raise RequestError(404, f"no upload of yours was blocked under {id_[:40]!r}")
        if row.appeal != "none":
            raise RequestError(409, f"this appeal is {row.appeal} already")
        row.appeal, row.note = "open", note
        record(session, at=store.clock.text(), actor=actor, action="appeal", subject=id_)


def rule(store: Store, id_: str, ruling: Ruling, *, actor: str) -> None:
    """Confirm a blocked upload that was appealed, or overturn it.

    Raises:
        RequestError: 404 no appeal is open under this id.
    """
    with writing(store.engine) as session:
        row = _row(session, id_)
        if row is None or row.appeal != "open":
            raise RequestError(404, f"no appeal is open under {id_[:40]!r}")
        row.appeal = "confirmed" if ruling == "confirm" else "overturned"
        record(session, at=store.clock.text(), actor=actor, action=ruling, subject=id_)


def appeals(store: Store, *, limit: int = 200) -> list[Block]:
    """Return the open appeals, oldest first."""
    with reading(store.engine) as session:
        return _blocks(session, DecisionRow.appeal == "open", limit=limit)


def find(store: Store, id_: str) -> Block:
    """Return what stood against an upload.

    Raises:
        RequestError: 404 nothing did, or there was no such upload.
    """
    missing = RequestError(404, f"nothing stood against an upload {id_[:40]!r}")
    if not _ID.fullmatch(id_):
        raise missing
    with reading(store.engine) as session:
        found = _blocks(session, DecisionRow.id == id_, limit=1)
    if not found:
        raise missing
    return found[0]


def rulings(store: Store) -> list[Ruled]:
    """Return what moderators ruled on claims of a class; erased enrollments are left out."""
    query = (
        select(EnrollmentRow.account_id, DecisionRow.score, DecisionRow.appeal)
        .join(EnrollmentRow, EnrollmentRow.id == DecisionRow.enrollment)
        .where(DecisionRow.appeal.in_(("confirmed", "overturned")))
    )
    with reading(store.engine) as session:
        return [
            Ruled(account, score, state == "confirmed")
            for account, score, state in session.execute(query)
            if score is not None
        ]


def counts(store: Store) -> dict[str, Counts]:
    """Return the counts of each enrollment that stood against uploads; '' counts erased ones."""
    keys = (DecisionRow.enrollment, DecisionRow.enforced, DecisionRow.appeal)
    with reading(store.engine) as session:
        rows = session.execute(select(*keys, func.count()).group_by(*keys)).all()
    totals: dict[str, dict[str, int]] = {}
    for enrollment, enforced, state, number in rows:
        own = totals.setdefault(enrollment or "", {})
        for key in ("enforced" if enforced else "observed", state):
            own[key] = own.get(key, 0) + number
    for own in totals.values():
        own.pop("none", None)
    return {name: Counts(**own) for name, own in totals.items()}


def _blocks(session: Session, wanted: ColumnElement[bool], *, limit: int) -> list[Block]:
    claimant = aliased(AccountRow)
    query = (
        select(DecisionRow, AccountRow.name, claimant.name)
        .join(AccountRow, AccountRow.id == DecisionRow.account_id)
        .outerjoin(EnrollmentRow, EnrollmentRow.id == DecisionRow.enrollment)
        .outerjoin(claimant, claimant.id == EnrollmentRow.account_id)
        .where(wanted)
        .order_by(DecisionRow.created)
        .limit(limit)
    )
    return [_block(row, name, whose) for row, name, whose in session.execute(query)]


def _row(session: Session, id_: str) -> DecisionRow | None:
    return session.get(DecisionRow, id_) if _ID.fullmatch(id_) else None


def _decision(upload: Stopped, there: Container[str], created: str) -> DecisionRow:
    against = upload.against
    return DecisionRow(
        id=upload.id,
        account_id=upload.account_id,
        # One that was erased while the upload was scored is no longer named.
        enrollment=against.enrollment if against.enrollment in there else None,
        enforced=upload.enforced,
        claim=against.claim,
        margin=against.margin,
        score=against.score,
        created=created,
        appeal="none",
        note="",
    )


def _block(row: DecisionRow, account: str, claimant: str | None) -> Block:
    return Block(
        id=row.id,
        account=account,
        enrollment=row.enrollment,
        claimant=claimant,
        enforced=row.enforced,
        claim=row.claim,  # type: ignore[arg-type]  # only this module writes it
        margin=row.margin,
        score=row.score,
        created=row.created,
        appeal=row.appeal,  # type: ignore[arg-type]  # only this module writes it
        note=row.note,
    )
