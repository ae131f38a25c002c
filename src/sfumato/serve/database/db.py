"""The database behind the service: SQLite in one file, or PostgreSQL through psycopg.

Both are durable: a commit returns after the log is synced (SQLite: WAL with
synchronous=FULL; PostgreSQL: synchronous_commit). A process killed at any moment loses no
acknowledged row and never shows half of one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from sfumato.errors import BankError, SfumatoError, StorageError
from sfumato.serve.database.errors import database_errors
from sfumato.serve.database.migrate import upgrade
from sfumato.serve.database.url import database_url, is_sqlite, place

_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",  # erased content is overwritten with zeros
    "foreign_keys=ON",
    "temp_store=MEMORY",
    "busy_timeout=10000",
)

_LEAST_BYTES: Final = 512  # SQLite's smallest page
_CONNECTIONS: Final = 20
_POOL_SECONDS: Final = 10
_ORDER: Final = 0x5F_0A_71  # of a lock that nothing else in this database takes


def open_database(url: str | URL) -> Engine:
    """Open the database; create its tables where it is new, upgrade them where they are old.

    Raises:
        ConfigError: the URL names neither database, or its folder does not exist.
        BankError: it is no bank's database, damaged, or of a version newer than this program.
        ServiceError: PostgreSQL does not answer.
        StorageError: the disk is full or not writable.
    """
    parsed = database_url(url)
    engine = open_sqlite(parsed) if is_sqlite(parsed) else open_postgres(parsed)
    try:
        with database_errors(place(engine)):
            upgrade(engine)
    except SfumatoError:
        engine.dispose()
        raise
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Yield a session that sees one state of the database."""
    with database_errors(place(engine)), Session(engine) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """Yield a session whose changes are on disk when the block ends, or not made at all."""
    # A transaction that reads first and writes later fails at once on SQLite when another process
    # wrote in between; one that says so at its beginning waits for its turn.
    own = engine.execution_options(sqlite_begin="IMMEDIATE")
    with database_errors(place(engine)), Session(own) as session, session.begin():
        yield session


@contextmanager
def changing(engine: Engine) -> Iterator[Session]:
    """Yield a session as `writing`, for what is numbered or logged: one at a time, in order.

    Nobody then reads a later change first, and takes it that there is none between. It takes its
    turn before it locks any row, so that two of these never wait for each other.
    """
    with writing(engine) as session:
        if engine.dialect.name != "sqlite":  # whose writers take turns anyway
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ORDER})
        yield session


def beside(engine: Engine, *, connections: int) -> Engine:
    """Return the same database by connections of its own, so many at most.

    Whoever waits for them takes none from those who ask by `engine`.
    """
    again = open_sqlite if is_sqlite(engine.url) else open_postgres
    return again(engine.url, connections=connections)


def open_sqlite(url: URL, *, connections: int = _CONNECTIONS) -> Engine:
    """Open a SQLite file with the settings that several processes need."""
    _refuse_foreign(Path(str(url.database)))
    _create(Path(str(url.database)))
    # hide_parameters: an error in the log must not carry what was being written.
    engine = create_engine(url, hide_parameters=True, **_pool(connections))
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _create(path: Path) -> None:
    """Make the file before SQLite does, so that it and its log are the owner's alone."""
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise StorageError(
            f"cannot write the database {path}: {error.strerror}; "
            "name a file in a folder that this user may write"
        ) from error


def _refuse_foreign(path: Path) -> None:
    """Refuse a small file of something else: SQLite would take it for a new one and write over it.

    It refuses larger ones itself. Nobody else may open the file to look: whoever closes it lets go
    of the locks that this process has on it.
    """
    if path.is_file() and 0 < path.stat().st_size < _LEAST_BYTES:
        raise BankError(
            f"{path}: expected a bank's database, got a file of another kind; name another file"
        )


def open_postgres(url: URL, *, connections: int = _CONNECTIONS) -> Engine:
    """Open a PostgreSQL database."""
    # pre_ping: after the database was restarted, the first request must not pay for it.
    engine = create_engine(url, hide_parameters=True, pool_pre_ping=True, **_pool(connections))
    event.listen(engine, "connect", _prepare_postgres)
    return engine


def _pool(connections: int) -> dict[str, Any]:
    return {"pool_size": connections, "max_overflow": 0, "pool_timeout": _POOL_SECONDS}


def _prepare_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:  # noqa: ANN401 - any DBAPI's
    connection.isolation_level = None  # the driver would commit before DDL; we begin ourselves
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    if mode != "NONE":
        connection.exec_driver_sql(f"BEGIN {mode}")


def _prepare_postgres(connection: Any, _: ConnectionPoolEntry) -> None:  # noqa: ANN401
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit TO on")
    connection.commit()
