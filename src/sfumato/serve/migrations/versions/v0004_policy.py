"""Banks with a policy: a target of false blocks, and anchors, scores and tallies of a policy."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns, and keep what was counted as counted without a policy."""
    for table in ("bank", "accounts"):
        op.add_column(table, sa.Column("false_blocks", sa.Double))
    with op.batch_alter_table("decisions") as batch:
        batch.add_column(sa.Column("policy", sa.String, nullable=False, server_default=""))
    with op.batch_alter_table("decisions") as batch:
        batch.alter_column("policy", existing_type=sa.String, server_default=None)
    op.rename_table("tally", "tally_before")
    op.create_table(
        "tally",
        sa.Column("policy", sa.String, primary_key=True),
        sa.Column("account_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("tenth", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("uploads", sa.Integer, nullable=False),
    )
    op.execute(
        "INSERT INTO tally (policy, account_id, tenth, uploads) "
        "SELECT '', account_id, tenth, uploads FROM tally_before"
    )
    op.drop_table("tally_before")
    op.create_table(
        "anchors",
        sa.Column("policy", sa.String, primary_key=True),
        sa.Column(
            "enrollment",
            sa.String,
            sa.ForeignKey("enrollments.id", ondelete="CASCADE"),
            primary_key=True,
            index=True,
        ),
        sa.Column("anchor", sa.Double, nullable=False),
    )
