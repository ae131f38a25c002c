"""Backups: a SQLite database of the same tables, whichever database it is taken from.

So a backup can also move a bank from SQLite to PostgreSQL and back. It is one state of the database
and can be taken while services run. It contains enrollments, accounts and the hashes of tokens, so
only the file's owner may read it. It still contains enrollments that are erased later.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, delete, func, insert, inspect, select

from sfumato.errors import EnrollmentError, InputError, StorageError
from sfumato.files import replacing
from sfumato.filter.enrollment import open_enrollment, signed_id
from sfumato.outputs import refuse_lost
from sfumato.serve.bank.memory import damaged
from sfumato.serve.database.db import open_database, open_sqlite
from sfumato.serve.database.errors import connected, database_errors
from sfumato.serve.database.locks import change_lock
from sfumato.serve.database.migrate import check_known, is_newest
from sfumato.serve.database.tables import Base, ClockRow, ContentRow, EnrollmentRow
from sfumato.serve.database.url import file_url, place, sqlite_path
from sfumato.serve.records.audit_log import verify
from sfumato.serve.records.erasures import prove

_CHUNK: Final = 64  # rows in memory at once; those of the enrollments are large


@dataclass(frozen=True, slots=True)
class Checked:
    """What a whole and sound database holds."""

    enrollments: int
    erased: int
    """Enrollments that were erased; of SQLite's files it was looked at that they hold none."""
    pending: int
    """Erased enrollments of which the files may still hold bytes."""
    events: int
    digest: str
    """The last digest of the audit log. Kept elsewhere, it reveals a log that was cut short."""


def check(engine: Engine) -> Checked:
    """Read every enrollment and every entry of the audit log, and look for what was erased.

    Raises:
        BankError: one is not as it was stored, or bytes are left of one that was erased.
    """
    count = 0

    def sound() -> Generator[bytes]:
        nonlocal count
        with closing(_contents(engine)) as contents:
            for id_, status, content in contents:
                count += 1
                try:
                    # One that waits may have numbers that no reader accepts any more.
                    active = status == "active"
                    found = open_enrollment(content).id if active else signed_id(content)
                    if found != id_:
                        raise EnrollmentError("it is another one")
                except EnrollmentError as error:
                    raise damaged(id_, error) from error
                yield content

    erased = prove(engine, sound())
    return Checked(count, erased.done, erased.pending, *verify(engine))


def backup(engine: Engine, path: Path) -> Checked:
    """Write a backup, checked, whole or not at all.

    Raises:
        InputError: the file cannot be written, or is the database itself.
        BankError: the database is damaged.
    """
    own = sqlite_path(engine)
    refuse_lost(path, [own] if own else [])  # services would go on in the replaced file
    with replacing(path, mode=0o600) as part:
        part.unlink()
        copy = open_database(file_url(part))
        try:
            with _snapshot(engine) as source, _emptied(copy) as target:
                _copy(source, target)
            found = check(copy)
        finally:
            copy.dispose()
            for suffix in (".lock", "-wal", "-shm"):
                part.with_name(part.name + suffix).unlink(missing_ok=True)
    return found


def check_backup(path: Path) -> None:
    """Raise an error, as `restore` does, unless there is a backup; it is not read through."""
    if not path.is_file():
        raise InputError(f"expected a backup at {path}, there is no such file")
    if not path.stat().st_size:
        raise InputError(f"{path} is empty; expected what 'filter db backup' wrote")
    engine = open_sqlite(file_url(path))
    try:
        with database_errors(place(engine)):
            check_known(engine)
    finally:
        engine.dispose()


def restore(path: Path, engine: Engine) -> Checked:
    """Fill a new database with what a backup holds, all of it or nothing; that stays as it is.

    Raises:
        InputError: there is no such file, or the database is not empty.
        BankError: the backup is damaged.
    """
    check_backup(path)
    with _opened(path) as source_engine:
        found = check(source_engine)
        with change_lock(engine), _snapshot(source_engine) as source, _emptied(engine) as target:
            _copy(source, target)
            _set_sequences(target)
    return found


@contextmanager
def _opened(path: Path) -> Iterator[Engine]:
    """Open a backup; one of an older version as a copy, which is upgraded in its place.

    The way back from an upgrade is to restore a backup with the old program.
    """
    with ExitStack() as ending:
        engine = open_sqlite(file_url(path))
        ending.callback(engine.dispose)
        if not is_newest(engine):
            copied = ending.enter_context(_copied(path))
            engine = open_database(file_url(copied))
            ending.callback(engine.dispose)
        yield engine


@contextmanager
def _copied(path: Path) -> Iterator[Path]:
    """Yield a copy of a SQLite database, beside it, which goes with the block."""
    try:
        folder = TemporaryDirectory(prefix=".restore-", dir=path.parent)
    except OSError as error:
        raise StorageError(f"cannot write beside {path}: {error.strerror}") from error
    with folder as name:
        copy = Path(name) / "copy.db"
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            try:
                source.backup(target)
            except sqlite3.Error as error:
                raise StorageError(f"cannot copy {path} beside it: {error}") from error
        yield copy


def _contents(engine: Engine) -> Generator[tuple[str, str, bytes]]:
    whose = ContentRow.enrollment == EnrollmentRow.id
    query = select(EnrollmentRow.id, EnrollmentRow.status, ContentRow.content)
    query = query.outerjoin(ContentRow, whose).order_by(EnrollmentRow.sequence)
    with _snapshot(engine) as connection:
        result = connection.execution_options(yield_per=_CHUNK).execute(query)
        with closing(result) as rows:
            for id_, status, content in rows:
                yield str(id_), str(status), bytes(content or b"")  # none: damage, as any other


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """Yield a connection that sees one state, whatever others write meanwhile."""
    with connected(engine) as connection:
        if engine.dialect.name != "sqlite":  # whose every transaction does
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


@contextmanager
def _emptied(engine: Engine) -> Iterator[Connection]:
    """Yield a transaction on a database that has tables and nothing in them."""
    own = engine.execution_options(sqlite_begin="IMMEDIATE")
    with database_errors(place(engine)), own.begin() as connection:
        connection.execute(delete(ClockRow))
        for table in Base.metadata.sorted_tables:
            if connection.scalar(select(func.count()).select_from(table)):
                raise InputError(
                    f"{place(engine)} is not empty ({table.name}); restore into a new database"
                )
        yield connection


def _copy(source: Connection, target: Connection) -> None:
    for table in Base.metadata.sorted_tables:
        result = source.execution_options(yield_per=_CHUNK).execute(select(table))
        with closing(result) as rows:
            for chunk in rows.mappings().partitions():
                target.execute(insert(table), [dict(row) for row in chunk])


def _set_sequences(target: Connection) -> None:
    """Let PostgreSQL number on after the rows that came with their numbers."""
    if target.dialect.name == "sqlite":
        return
    for table in Base.metadata.sorted_tables:
        for column in _numbered(target, table):
            most = target.scalar(select(func.max(table.c[column])))
            if most is not None:
                sequence = func.pg_get_serial_sequence(table.name, column)
                target.execute(select(func.setval(sequence, most)))


def _numbered(target: Connection, table: Table) -> list[str]:
    columns: list[Any] = inspect(target).get_columns(table.name)
    return [column["name"] for column in columns if column.get("autoincrement") is True]
