"""Rid the database's files of rows that were deleted.

On SQLite the write-ahead log is truncated; on PostgreSQL VACUUM FULL rewrites the table.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine, text

from sfumato.errors import ServiceError
from sfumato.serve.database.errors import connected

_PATIENCE_MS: Final = 50
"""For which others may have to wait: SQLite's writers, or whoever reads PostgreSQL's table."""
_SMALL_BYTES: Final = 32 << 20
"""A table that is rewritten in a fraction of a second."""


def forget(engine: Engine) -> bool:
    """Try once, without holding others up, to rid the files of deleted rows; return whether it did.

    SQLite: move the log into the database, where deleted rows are zeros, and cut it to nothing; a
    reader who still looks at an earlier state prevents that. PostgreSQL: rewrite the enrollments
    where that takes a fraction of a second; a larger table waits for `rewrite`.

    Raises:
        ServiceError: the database does not answer.
    """
    if engine.dialect.name == "sqlite":
        return _truncate(engine)
    from sfumato.serve.database.vacuum import rewrite_table

    with connected(engine) as connection:
        size = connection.scalar(text("SELECT pg_total_relation_size('enrollments')"))
    return size is not None and size <= _SMALL_BYTES and rewrite_table(engine, _PATIENCE_MS)


def rewrite(engine: Engine) -> bool:
    """Rewrite all that the database keeps of enrollments, however long that takes; return True.

    SQLite: VACUUM. PostgreSQL: VACUUM FULL of the enrollments, under a lock that makes uploads
    wait, and a checkpoint, after which the server recycles its log. Needs as much free space as
    they take.

    Raises:
        StorageError: there is not enough space; nothing was lost.
        ServiceError: the database does not answer, a reader looks at what was erased, or the role
            may not checkpoint.
    """
    if engine.dialect.name == "sqlite":
        with connected(engine) as connection:
            connection.execution_options(sqlite_begin="NONE").exec_driver_sql("VACUUM")
        done = _truncate(engine, patience_ms=10_000)
    else:
        from sfumato.serve.database.vacuum import rewrite_table

        done = rewrite_table(engine, 0)
        with connected(engine) as connection:
            automatic = connection.execution_options(isolation_level="AUTOCOMMIT")
            automatic.execute(text("CHECKPOINT"))
    if not done:
        raise ServiceError(
            "somebody still reads the database as it was before an erasure; end that, a backup or "
            "an open transaction, and purge again"
        )
    return True


def _truncate(engine: Engine, *, patience_ms: int = _PATIENCE_MS) -> bool:
    # While it waits for readers nobody can write: so not for long.
    with connected(engine) as connection:
        plain = connection.execution_options(sqlite_begin="NONE")
        usual = plain.exec_driver_sql("PRAGMA busy_timeout").scalar()
        plain.exec_driver_sql(f"PRAGMA busy_timeout={patience_ms}")
        try:
            busy, *_ = plain.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        finally:
            plain.exec_driver_sql(f"PRAGMA busy_timeout={usual}")
    return not busy
