"""The tables as the newest migration leaves them; a test holds the two together.

Times are UTC in ISO 8601 with microseconds, as text: they sort as they are, and alike on every
database.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """All tables of the service."""


class BankRow(Base):
    """One row: what every enrollment must fit, and the rules that a moderator may change."""

    __tablename__ = "bank"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    backbone: Mapped[str]
    dim: Mapped[int]
    hidden: Mapped[int]
    alpha: Mapped[float]
    false_blocks: Mapped[float | None]
    enforced: Mapped[float]
    rollout_seed: Mapped[str]
    disabled_until: Mapped[str | None]


class ClockRow(Base):
    """One row: the latest time that any process saw, so that a clock set back is noticed."""

    __tablename__ = "clock"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    latest: Mapped[str]


class AccountRow(Base):
    """Someone who enrolls, uploads or moderates; None as a threshold takes the bank's."""

    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    alpha: Mapped[float | None]
    false_blocks: Mapped[float | None]
    disabled_until: Mapped[str | None]
    created: Mapped[str]


class TokenRow(Base):
    """One token of an account, as the hash that admits it."""

    __tablename__ = "tokens"
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    hash: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[str]
    expires: Mapped[str | None]
    created: Mapped[str]


class EnrollmentRow(Base):
    """Who sent an enrollment, and whether it counts; the file itself is a `ContentRow`."""

    __tablename__ = "enrollments"
    # The order of arrival is the order of the bank's columns, also after a restart.
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    status: Mapped[str]
    reason: Mapped[str]
    created: Mapped[str] = mapped_column(index=True)
    disabled_until: Mapped[str | None]


class ContentRow(Base):
    """One enrollment file as it came.

    Apart from the enrollments, which every decision reads: PostgreSQL rids its files of what was
    erased by rewriting a table, and nobody may read that meanwhile. So it keeps these in parts.
    """

    __tablename__ = "contents"
    __table_args__ = ({"postgresql_partition_by": "RANGE (enrollment)"},)
    # By bytes, whatever the language of the database: the parts have bounds.
    enrollment: Mapped[str] = mapped_column(
        String().with_variant(String(collation="C"), "postgresql"),
        ForeignKey("enrollments.id", ondelete="CASCADE"),
        primary_key=True,
    )
    content: Mapped[bytes]


class ContestRow(Base):
    """A contested pair: `overrider` may not override a claim of `claimant`.

    Stored, because screening all pairs again at every start would take hours for a large bank.
    """

    __tablename__ = "contests"
    overrider: Mapped[str] = mapped_column(
        ForeignKey("enrollments.id", ondelete="CASCADE"), primary_key=True
    )
    claimant: Mapped[str] = mapped_column(
        ForeignKey("enrollments.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    likeness: Mapped[float]


class ChangeRow(Base):
    """What happened to the bank, in order: every process reads on from where it was."""

    __tablename__ = "changes"
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    kind: Mapped[str]
    enrollment: Mapped[str]


class ErasureRow(Base):
    """An enrollment that was erased, and when no byte of it was left on disk; see `erasures`."""

    __tablename__ = "erasures"
    # In the order of commits, as all that `changing` numbers.
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    # No foreign key: the enrollment is gone.
    enrollment: Mapped[str] = mapped_column(unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    requested: Mapped[str]
    done: Mapped[str | None] = mapped_column(index=True)
    marks: Mapped[bytes] = mapped_column(deferred=True)


class DecisionRow(Base):
    """One upload that an enrollment stood against. Neither the picture nor its features."""

    __tablename__ = "decisions"
    # PostgreSQL sorts NaN above every number; SQLite keeps it as NULL.
    __table_args__ = tuple(
        CheckConstraint(f"{column} BETWEEN -1e30 AND 1e30", name=f"decisions_{column}_is_finite")
        for column in ("margin", "score")
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    # Whose upload it is: the person's, or their gateway's where they have no account.
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    # As the gateway named them, and which gateway it was; None where the account itself uploaded.
    person: Mapped[str | None]
    gateway_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    enrollment: Mapped[str | None] = mapped_column(
        ForeignKey("enrollments.id", ondelete="SET NULL"), index=True
    )
    enforced: Mapped[bool]
    claim: Mapped[str]
    margin: Mapped[float | None]  # None where an old release recorded no number
    score: Mapped[float | None]
    policy: Mapped[str]
    created: Mapped[str]
    appeal: Mapped[str] = mapped_column(index=True)
    note: Mapped[str]


class TallyRow(Base):
    """How many uploads came this near to a claim of this account; see `near_counts`."""

    __tablename__ = "tally"
    policy: Mapped[str] = mapped_column(primary_key=True)
    # No foreign key: 0 stands for nobody, and counting must not wait for an account's row.
    account_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tenth: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    # A platform has 2^31 uploads within weeks, most of them near to nobody.
    uploads: Mapped[int] = mapped_column(BigInteger)


class AnchorRow(Base):
    """The anchor of an enrollment under a policy: computing it anew takes all public pictures."""

    __tablename__ = "anchors"
    __table_args__ = (
        CheckConstraint("anchor > 0 AND anchor <= 1e30", name="anchors_anchor_is_positive"),
    )
    policy: Mapped[str] = mapped_column(primary_key=True)
    enrollment: Mapped[str] = mapped_column(
        ForeignKey("enrollments.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    anchor: Mapped[float]


class AuditRow(Base):
    """One entry of the audit log; triggers refuse to change or delete it."""

    __tablename__ = "audit"
    # For what an account sent lately: see `Store.tries`.
    __table_args__ = (Index("ix_audit_actor_created", "actor", "created"),)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    created: Mapped[str]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[str]
    digest: Mapped[str]
