"""What a moderator needs to foresee a threshold: scores of blocks, and how near uploads came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the score to decisions, unknown for those made before, and the tally."""
    op.add_column("decisions", sa.Column("score", sa.Double))
    op.create_table(
        "tally",
        sa.Column("account_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("tenth", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("uploads", sa.Integer, nullable=False),
    )
