"""Numbers within bounds, and for whom a platform's gateway sent an upload."""

from __future__ import annotations

from contextlib import suppress

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_REASON = "its numbers are out of bounds; it cannot count"
_FAR = "1e30"  # beyond every number that is computed from what readers accept
_POSITIVE = f"anchor > 0 AND anchor <= {_FAR}"


def upgrade() -> None:
    """Quarantine enrollments that no reader accepts any more, and bound what is computed."""
    _quarantine()
    _decisions()
    op.execute(f"DELETE FROM anchors WHERE NOT ({_POSITIVE})")  # noqa: S608 - computed anew
    with op.batch_alter_table("anchors") as batch:
        batch.create_check_constraint("anchors_anchor_is_positive", _POSITIVE)


def _decisions() -> None:
    with op.batch_alter_table("decisions") as batch:
        batch.alter_column("margin", existing_type=sa.Double, nullable=True)
        batch.add_column(sa.Column("person", sa.String))
        batch.add_column(sa.Column("gateway_id", sa.Integer))
        batch.create_foreign_key("decisions_gateway_id_fkey", "accounts", ["gateway_id"], ["id"])
    for column in ("margin", "score"):
        op.execute(f"UPDATE decisions SET {column} = NULL WHERE NOT ({_near(column)})")  # noqa: S608
    with op.batch_alter_table("decisions") as batch:
        for column in ("margin", "score"):
            batch.create_check_constraint(f"decisions_{column}_is_finite", _near(column))


def _near(column: str) -> str:
    # PostgreSQL sorts NaN above every number; SQLite keeps it as NULL.
    return f"{column} BETWEEN -{_FAR} AND {_FAR}"


def _quarantine() -> None:
    connection = op.get_bind()
    ids = connection.scalars(sa.text("SELECT id FROM enrollments WHERE status = 'active'")).all()
    content = sa.text("SELECT content FROM enrollments WHERE id = :id")
    wait = sa.text("UPDATE enrollments SET status = 'quarantined', reason = :why WHERE id = :id")
    for name in ids:
        if _out_of_bounds(bytes(connection.scalars(content, {"id": name}).one())):
            connection.execute(wait, {"id": name, "why": _REASON})


def _out_of_bounds(content: bytes) -> bool:
    """Return whether a file is as it was signed, and refused for its numbers all the same."""
    # The one import of a step: what a reader refuses now must not stop a service from starting.
    from sfumato.errors import EnrollmentError
    from sfumato.filter.enrollment import open_enrollment, signed_id

    with suppress(EnrollmentError):
        signed_id(content)
        try:
            open_enrollment(content)
        except EnrollmentError:
            return True
    return False
