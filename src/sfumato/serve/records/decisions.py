"""Decisions, and the records of those that an enrollment stands against: appeals and rulings.

No record holds a picture or a feature.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final, Literal

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, aliased

from sfumato.errors import RequestError
from sfumato.filter.rule.guard import BLOCKED, SHARED
from sfumato.serve.database.db import changing, reading, writing
from sfumato.serve.database.tables import AccountRow, DecisionRow, EnrollmentRow
from sfumato.serve.records.audit_log import record
from sfumato.serve.records.store import Store
from sfumato.serve.wire import Claim, DecisionAnswer, Verdict

Ruling = Literal["confirm", "overturn"]
MOST_NOTE: Final = 1000
MOST_APPEALS: Final = 200
"""Of which a moderator is told at once."""
STRANGER: Final = -1
"""In place of an account's number: no account has it."""
OBSERVED: Final = "would block, but the rule is not enforced"
"""What the platform is told where something stands against an upload that is shared."""
FACELESS: Final = "no face was found in it, so nobody's enrollment was asked"
"""What the platform is told of an upload that shows no face, where the backbone takes faces."""
_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One enrollment of somebody else, and how near an upload is to it."""

    claim: Claim
    enrollment: str
    """Its id, or '' where there is none."""
    account: int
    """The account of that enrollment, or `STRANGER`."""
    margin: float
    """Distance below the threshold of a class in the bank's unit, or bits below that of a near
    copy; at least 0 where it stands against the upload."""
    score: float | None
    """In the bank's unit, infinite where there is no class; None for a near copy."""
    view: int = 0
    """Which of the upload's features this is about: its row."""

    @property
    def blocks(self) -> bool:
        """Whether it stands against the upload."""
        return self.margin >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Share or block, and why."""

    against: Match | None
    """What stands against the upload, whether or not that is enforced."""
    nearest: Match
    """The class that is nearest to the upload."""
    frame: int | None
    """The frame of what stands against it, or of what is nearest; None of a still picture, or
    where there is neither."""
    enforced: bool
    """Whether the rules block this account."""
    faceless: bool = False
    """Whether the backbone takes faces and the upload shows none: then `nearest` is no match."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Random, so that it tells nothing."""

    @property
    def blocked(self) -> bool:
        """Whether the upload is stopped."""
        return self.against is not None and self.enforced

    @property
    def verdict(self) -> Verdict:
        """The decision in a word."""
        return "block" if self.blocked else "share"

    @property
    def reason(self) -> str:
        """What the uploader is told: neither whose pictures they are, nor of a roll-out."""
        return BLOCKED if self.blocked else SHARED

    @property
    def explanation(self) -> str:
        """What the platform is told."""
        if self.against is None:
            return FACELESS if self.faceless else self.reason
        return self.reason if self.enforced else OBSERVED

    @property
    def match(self) -> Match:
        """What stands against the upload, else what is nearest to it."""
        return self.nearest if self.against is None else self.against


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose an upload is: who may appeal, and whom a moderator sees."""

    account_id: int
    """The person's account, or their gateway's where they have none."""
    person: str | None = None
    """The person as a platform's gateway named them; None where the account itself uploaded."""
    gateway_id: int | None = None
    """That gateway's account."""


@dataclass(frozen=True, slots=True)
class Ruled:
    """A blocked upload on which a moderator ruled."""

    account: int
    """Whose claim it was."""
    score: float
    """In the bank's unit."""
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many uploads were blocked, observed, appealed and ruled on, for one enrollment."""

    enforced: int = 0
    observed: int = 0
    open: int = 0
    confirmed: int = 0
    overturned: int = 0


def keep_blocks(store: Store, policy: str, uploads: Sequence[tuple[Owner, Decision]]) -> None:
    """Record decisions that something stands against, each with whose upload it was.

    `policy` is the digest of the policy that they were taken under, or ''. All are on disk when
    this returns, or none is. One sync to disk serves all of them.
    """
    with writing(store.engine) as session:
        ids = {decision.match.enrollment for _, decision in uploads}
        named = select(EnrollmentRow.id).where(EnrollmentRow.id.in_(ids))
        # None of them is erased before this is written: PostgreSQL would refuse all of it.
        there = set(session.scalars(named.with_for_update(read=True, key_share=True)))
        created = store.clock.text()
        session.add_all(_row_of(*upload, there, created, policy) for upload in uploads)


def appeal(
    store: Store, id_: str, *, account_id: int, actor: str, note: str, person: str | None = None
) -> None:
    """Ask a moderator to look at a decision again; the person whose upload it was may, once.

    So may the gateway that sent it, for the `person` for whom it did.

    Raises:
        RequestError: 404 no upload of theirs was blocked under this id, 409 it was appealed.
    """
    with changing(store.engine) as session:
        row = _row(session, id_)
        if row is None or not row.enforced or not _owns(row, account_id, person):
            raise RequestError(404, f"no upload of yours was blocked under {id_[:40]!r}")
        if row.appeal != "none":
            raise RequestError(409, f"this appeal is {row.appeal} already")
        row.appeal, row.note = "open", note
        record(session, at=store.clock.text(), actor=actor, action="appeal", subject=id_)


def _owns(row: DecisionRow, account_id: int, person: str | None) -> bool:
    if person is None:
        # A gateway names for whom it asks; what it sent for nobody in particular is its own.
        return row.account_id == account_id and row.gateway_id != account_id
    return (row.gateway_id, row.person) == (account_id, person)


def rule(store: Store, id_: str, ruling: Ruling, *, actor: str) -> None:
    """Confirm a blocked upload that was appealed, or overturn it.

    Raises:
        RequestError: 404 no appeal is open under this id.
    """
    with changing(store.engine) as session:
        row = _row(session, id_)
        if row is None or row.appeal != "open":
            raise RequestError(404, f"no appeal is open under {id_[:40]!r}")
        row.appeal = "confirmed" if ruling == "confirm" else "overturned"
        record(session, at=store.clock.text(), actor=actor, action=ruling, subject=id_)


def appeals(store: Store, *, limit: int | None = MOST_APPEALS) -> list[DecisionAnswer]:
    """Return the open appeals, oldest first: so many, or all."""
    with reading(store.engine) as session:
        return _answers(session, DecisionRow.appeal == "open", limit=limit)


def find(store: Store, id_: str) -> DecisionAnswer:
    """Return what stood against an upload.

    Raises:
        RequestError: 404 nothing did, or there was no such upload.
    """
    missing = RequestError(404, f"nothing stood against an upload {id_[:40]!r}")
    if not _ID.fullmatch(id_):
        raise missing
    with reading(store.engine) as session:
        found = _answers(session, DecisionRow.id == id_, limit=1)
    if not found:
        raise missing
    return found[0]


def rulings(store: Store, policy: str) -> list[Ruled]:
    """Return what moderators ruled on claims of a class, under a policy or '' for none.

    Erased enrollments are left out.
    """
    query = (
        select(EnrollmentRow.account_id, DecisionRow.score, DecisionRow.appeal)
        .join(EnrollmentRow, EnrollmentRow.id == DecisionRow.enrollment)
        .where(DecisionRow.appeal.in_(("confirmed", "overturned")))
        .where(DecisionRow.policy == policy)
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


def _answers(
    session: Session, wanted: ColumnElement[bool], *, limit: int | None
) -> list[DecisionAnswer]:
    enrolled = aliased(AccountRow)
    query = (
        select(DecisionRow, AccountRow.name, enrolled.name)
        .join(AccountRow, AccountRow.id == DecisionRow.account_id)
        .outerjoin(EnrollmentRow, EnrollmentRow.id == DecisionRow.enrollment)
        .outerjoin(enrolled, enrolled.id == EnrollmentRow.account_id)
        .where(wanted)
        .order_by(DecisionRow.created)
        .limit(limit)
    )
    return [_answer(row, *names) for row, *names in session.execute(query)]


def _row(session: Session, id_: str) -> DecisionRow | None:
    return session.get(DecisionRow, id_) if _ID.fullmatch(id_) else None


def _row_of(
    owner: Owner, decision: Decision, there: Container[str], created: str, policy: str
) -> DecisionRow:
    match = decision.match
    return DecisionRow(
        id=decision.id,
        **asdict(owner),
        # One that was erased while the upload was scored is no longer named.
        enrollment=match.enrollment if match.enrollment in there else None,
        enforced=decision.enforced,
        claim=match.claim,
        margin=match.margin,
        score=match.score,
        policy=policy,
        created=created,
        appeal="none",
        note="",
    )


def _answer(row: DecisionRow, account: str, enrollment_account: str | None) -> DecisionAnswer:
    return DecisionAnswer(
        id=row.id,
        account=row.person or account,
        enrollment=row.enrollment,
        enrollment_account=enrollment_account,
        enforced=row.enforced,
        claim=row.claim,  # type: ignore[arg-type]  # only this module writes it
        unit="false_blocks" if row.policy else "alpha",
        margin=row.margin,
        score=row.score,
        created=row.created,
        appeal=row.appeal,  # type: ignore[arg-type]  # only this module writes it
        note=row.note,
    )
