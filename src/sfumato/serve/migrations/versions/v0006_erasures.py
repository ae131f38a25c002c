"""What was asked to be erased stays on record until its bytes are gone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the table of erasures; those of before are not known."""
    op.create_table(
        "erasures",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("enrollment", sa.String, nullable=False, unique=True),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("requested", sa.String, nullable=False),
        sa.Column("done", sa.String),
        sa.Column("marks", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_erasures_account_id", "erasures", ["account_id"])
    op.create_index("ix_erasures_done", "erasures", ["done"])
