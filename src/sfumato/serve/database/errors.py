"""A database's faults as the errors that a person or a client is shown."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sfumato.errors import BankError, DatabaseError, ServiceError, SfumatoError, StorageError
from sfumato.serve.database.url import place

_FULL: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_CLOSED: Final = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_POSTGRES_FULL: Final = "53100"
_POSTGRES_DAMAGED: Final = ("XX001", "XX002")  # data_corrupted, index_corrupted


@contextmanager
def database_errors(where: str = "the database") -> Iterator[None]:
    """Turn a database's or a disk's fault, in a block, into an error of ours.

    An IntegrityError passes: what it means, only the caller knows.

    Raises:
        StorageError: the disk is full, read-only or failing; nothing was changed.
        BankError: the database is damaged, or is none.
        ServiceError: it does not answer, or is too busy.
    """
    try:
        yield
    except (SfumatoError, IntegrityError):
        raise
    except OSError as error:
        raise StorageError(f"cannot write the database: {error.strerror}") from error
    except PoolTimeout as error:
        raise ServiceError("the database is too busy; try again") from error
    except DBAPIError as error:
        raise _known(error, where) from error


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """Yield a connection; its faults, and that none is free, are errors of ours.

    Raises:
        StorageError, BankError, ServiceError: as `database_errors`.
    """
    with database_errors(place(engine)), engine.connect() as connection:
        yield connection


def check_pages(engine: Engine) -> None:
    """Look at every page of a SQLite file; PostgreSQL finds its own damage when it reads.

    Raises:
        BankError: a page is torn.
    """
    if engine.dialect.name != "sqlite":
        return
    with connected(engine) as connection:
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if found != "ok":
        raise _damaged(place(engine), str(found))


def _known(error: DBAPIError, where: str) -> SfumatoError:
    cause = error.orig
    state = getattr(cause, "sqlstate", None)
    code = cause.sqlite_errorcode & 0xFF if isinstance(cause, sqlite3.Error) else None
    if code in _CLOSED:
        return StorageError(
            f"cannot write the database: {_line(cause)}; let this user write its file and its "
            "folder, nothing was changed"
        )
    if code in _FULL or state == _POSTGRES_FULL:
        return StorageError(
            f"cannot write the database: {_line(cause)}; free some space and try again, "
            "nothing was changed"
        )
    if code == sqlite3.SQLITE_NOTADB:
        return BankError(f"{where}: expected a bank's database, got: {_line(cause)}")
    if code in _DAMAGED or state in _POSTGRES_DAMAGED:
        return _damaged(where, _line(cause))
    return DatabaseError(f"{where}: the database does not answer ({_line(cause)}); try again")


def _damaged(where: str, what: str) -> BankError:
    line = " ".join(what.split())
    return BankError(
        f"{where}: the database is damaged ({line}); restore a backup with "
        "'sfumato filter db restore'"
    )


def _line(cause: BaseException | None) -> str:
    return next(iter(str(cause).splitlines()), type(cause).__name__)
