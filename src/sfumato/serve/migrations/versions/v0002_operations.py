"""Several processes, roles and tokens, rules at run time, decisions, appeals, an audit log."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_FIRST_ALPHA = 2.0  # what release 0.1 always decided with
_SCOPES = {False: "enroll upload", True: "enroll moderate upload"}


def upgrade() -> None:
    """Change the tables; every account, token, enrollment and contested pair stays."""
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    _bank()
    _clock(now)
    _tokens(now)
    _accounts()
    op.add_column("enrollments", sa.Column("disabled_until", sa.String))
    op.create_index("ix_enrollments_created", "enrollments", ["created"])
    op.create_table(
        "changes",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("enrollment", sa.String, nullable=False),
    )
    _decisions()
    _audit()


def _bank() -> None:
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT backbone, dim, hidden FROM bank")).all()
    op.drop_table("bank")
    bank = op.create_table(
        "bank",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("backbone", sa.String, nullable=False),
        sa.Column("dim", sa.Integer, nullable=False),
        sa.Column("hidden", sa.Integer, nullable=False),
        sa.Column("alpha", sa.Double, nullable=False),
        sa.Column("enforced", sa.Double, nullable=False),
        sa.Column("rollout_seed", sa.String, nullable=False),
        sa.Column("disabled_until", sa.String),
    )
    for row in rows:
        values = {"id": 1, "alpha": _FIRST_ALPHA, "enforced": 1.0, **row._mapping}
        connection.execute(bank.insert().values(rollout_seed=secrets.token_hex(16), **values))


def _clock(now: str) -> None:
    clock = op.create_table(
        "clock",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("latest", sa.String, nullable=False),
    )
    op.get_bind().execute(clock.insert().values(id=1, latest=now))


def _tokens(now: str) -> None:
    connection = op.get_bind()
    tokens = op.create_table(
        "tokens",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("scopes", sa.String, nullable=False),
        sa.Column("expires", sa.String),
        sa.Column("created", sa.String, nullable=False),
    )
    op.create_index("ix_tokens_account_id", "tokens", ["account_id"])
    query = "SELECT id, token_hash, moderator FROM accounts WHERE token_hash IS NOT NULL"
    for account, digest, moderator in connection.execute(sa.text(query)).all():
        scopes = _SCOPES[bool(moderator)]
        row = {"account_id": account, "hash": bytes(digest), "scopes": scopes, "created": now}
        connection.execute(tokens.insert().values(**row))


def _accounts() -> None:
    with op.batch_alter_table("accounts") as batch:
        batch.add_column(sa.Column("role", sa.String, nullable=False, server_default="user"))
        batch.add_column(sa.Column("alpha", sa.Double))
        batch.add_column(sa.Column("disabled_until", sa.String))
    op.execute(sa.text("UPDATE accounts SET role = 'moderator' WHERE moderator"))
    with op.batch_alter_table("accounts") as batch:
        batch.alter_column("role", existing_type=sa.String, server_default=None)
        batch.drop_column("token_hash")
        batch.drop_column("moderator")


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("enrollment", sa.String, sa.ForeignKey("enrollments.id", ondelete="SET NULL")),
        sa.Column("enforced", sa.Boolean, nullable=False),
        sa.Column("claim", sa.String, nullable=False),
        sa.Column("margin", sa.Double, nullable=False),
        sa.Column("created", sa.String, nullable=False),
        sa.Column("appeal", sa.String, nullable=False),
        sa.Column("note", sa.String, nullable=False),
    )
    for column in ("account_id", "enrollment", "appeal"):
        op.create_index(f"ix_decisions_{column}", "decisions", [column])


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("created", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_{change.lower()} BEFORE {change} ON audit BEGIN "
                "SELECT RAISE(ABORT, 'the audit log is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_change BEFORE UPDATE OR DELETE ON audit "
        "FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()"
    )
    op.execute(
        "CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"
    )
