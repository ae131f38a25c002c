"""Rid the database's files of rows that were deleted.

On SQLite the write-ahead log is truncated; on PostgreSQL VACUUM FULL rewrites the parts of the
table that they were in.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Engine, text

from sfumato.errors import ServiceError
from sfumato.serve.database.errors import connected

_PATIENCE_MS: Final = 50
"""For which others may have to wait: SQLite's writers, or whoever reads a part on PostgreSQL."""


def forget(engine: Engine, erased: Collection[str]) -> Collection[str]:
    """Try once, without holding up who decides, to rid the files of deleted enrollments.

    SQLite: move the log into the database, where deleted rows are zeros, and cut it to nothing; a
    reader who still looks at an earlier state prevents that. PostgreSQL: rewrite one part after the
    other, each a 64th of all enrollment files, until somebody reads one of them.

    Args:
        engine: The database.
        erased: The ids of the deleted enrollments.

    Returns:
        The ids of those of which no byte is left.

    Raises:
        ServiceError: the database does not answer.
    """
    if engine.dialect.name == "sqlite":
        return erased if _truncate(engine) else ()
    from sfumato.serve.database.vacuum import part_of, rewrite_table

    gone: list[str] = []
    for part in sorted(set(map(part_of, erased))):
        if not rewrite_table(engine, part, lock_ms=_PATIENCE_MS):
            break
        gone += [one for one in erased if part_of(one) == part]
    return gone


def rewrite(engine: Engine) -> None:
    """Rewrite all that the database keeps of enrollments, however long that takes.

    SQLite: VACUUM. PostgreSQL: VACUUM FULL of their files, under locks that make who enrolls wait,
    and a checkpoint, after which the server recycles its log. Needs as much free space as SQLite's
    file, or PostgreSQL's largest part; and of SQLite as much memory, too: it makes the new file
    there, so that no other place gets a copy.

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
        from sfumato.serve.database.vacuum import ALL, rewrite_table

        done = rewrite_table(engine, ALL, lock_ms=0)
        with connected(engine) as connection:
            automatic = connection.execution_options(isolation_level="AUTOCOMMIT")
            automatic.execute(text("CHECKPOINT"))
    if not done:
        raise ServiceError(
            "somebody still reads the database as it was before an erasure; end that, a backup or "
            "an open transaction, and purge again"
        )


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
