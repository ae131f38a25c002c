"""The tables of release 0.1, which had no migrations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the four tables."""
    op.create_table(
        "bank",
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("backbone", sa.String, nullable=False),
        sa.Column("dim", sa.Integer, nullable=False),
        sa.Column("hidden", sa.Integer, nullable=False),
    )
    op.create_table(
        "accounts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("token_hash", sa.LargeBinary, unique=True),
        sa.Column("moderator", sa.Boolean, nullable=False),
        sa.Column("created", sa.String, nullable=False),
    )
    op.create_table(
        "enrollments",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("created", sa.String, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_enrollments_account_id", "enrollments", ["account_id"])
    op.create_table(
        "contests",
        sa.Column("overrider", sa.String, _enrollment(), primary_key=True),
        sa.Column("claimant", sa.String, _enrollment(), primary_key=True),
        sa.Column("likeness", sa.Double, nullable=False),
    )
    op.create_index("ix_contests_claimant", "contests", ["claimant"])


def _enrollment() -> sa.ForeignKey:
    return sa.ForeignKey("enrollments.id", ondelete="CASCADE")
