"""Alembic's way in: run the steps inside the transaction of the connection it is given."""

from __future__ import annotations

from alembic import context

from sfumato.serve.database.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite can roll DDL back once the driver stops committing behind our back; `db` sees to that.
    transactional_ddl=True,
)
context.run_migrations()
