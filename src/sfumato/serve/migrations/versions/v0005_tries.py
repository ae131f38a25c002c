"""What an account sent lately is found in the audit log without reading all of it."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Index the audit log by who acted, and when."""
    op.create_index("ix_audit_actor_created", "audit", ["actor", "created"])
