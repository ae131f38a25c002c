"""Enrollment files apart from what is known of them, on PostgreSQL in parts of a 64th each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_WIDTH = 4  # of the 256 values of an id's first two digits


def upgrade() -> None:
    """Move every file into a table that can be rewritten while uploads are decided."""
    postgres = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "contents",
        sa.Column(
            "enrollment",
            sa.String(collation="C" if postgres else None),
            sa.ForeignKey("enrollments.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("content", sa.LargeBinary, nullable=False),
        postgresql_partition_by="RANGE (enrollment)",
    )
    if postgres:
        _parts()
    op.execute("INSERT INTO contents SELECT id, content FROM enrollments")
    if postgres:
        # To drop a column leaves its bytes in the file; a new type writes the table anew.
        op.execute("ALTER TABLE enrollments ALTER content TYPE bytea USING ''::bytea")
    op.drop_column("enrollments", "content")


def _parts() -> None:
    firsts = [f"{first:02x}" for first in range(0, 256, _WIDTH)]
    for first, bound in zip(firsts, [*firsts[1:], "g"], strict=True):
        op.execute(
            f"CREATE TABLE contents_{first} PARTITION OF contents "
            f"FOR VALUES FROM ('{first}') TO ('{bound}')"
        )
