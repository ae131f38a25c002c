"""Counts of uploads beyond 2^31."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Widen the column; SQLite's hold as much whatever they are called."""
    with op.batch_alter_table("tally") as batch:
        batch.alter_column("uploads", existing_type=sa.Integer, type_=sa.BigInteger)
