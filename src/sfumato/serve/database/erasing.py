"""Erase deleted rows physically.

On SQLite the write-ahead log is truncated; on PostgreSQL VACUUM FULL rewrites the table.
"""

from __future__ import annotations

import time

from sqlalchemy import Engine, text

from sfumato.errors import ServiceError
from sfumato.serve.database.errors import database_errors
from sfumato.serve.database.url import place


def forget(engine: Engine, *, patience_seconds: float = 10.0) -> None:
    """SQLite: move the log into the database and cut it to nothing: no erased byte stays on disk.

    PostgreSQL keeps a deleted row's bytes, unseen by any query, until `purge`; nothing is done.

    Raises:
        ServiceError: a reader kept the log open all this time; call it again.
    """
    if engine.dialect.name != "sqlite":
        return
    deadline = time.monotonic() + patience_seconds
    while True:
        with database_errors(place(engine)), engine.connect() as connection:
            plain = connection.execution_options(sqlite_begin="NONE")
            busy, *_ = plain.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        if not busy:
            return
        if time.monotonic() > deadline:
            raise ServiceError("the enrollment is erased but its log is in use; delete it again")
        time.sleep(0.05)


def purge(engine: Engine) -> None:
    """Rewrite what the database keeps, so that no erased enrollment is left in its tables.

    PostgreSQL: VACUUM FULL of the enrollments, under a lock that makes uploads wait, and a
    checkpoint, after which the server recycles its log. Needs as much free space as they take.

    Raises:
        StorageError: there is not enough space; nothing was lost.
        ServiceError: the database does not answer, or the role may not checkpoint.
    """
    if engine.dialect.name == "sqlite":
        forget(engine)
        return
    with (
        database_errors(place(engine)),
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):
        connection.execute(text("VACUUM (FULL) enrollments"))
        connection.execute(text("CHECKPOINT"))
