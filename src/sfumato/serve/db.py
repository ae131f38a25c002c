"""The tables, and a SQLite that keeps what it acknowledged and forgets what it was told to.

WAL with synchronous=FULL syncs the log before a commit returns, so a killed process loses no
acknowledged row and never shows half of one. secure_delete overwrites erased content with zeros,
and `forget` empties the log, which still holds the pages as they were.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, ForeignKey, create_engine, event, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry

from sfumato.errors import BankError, ConfigError, ServiceError, StorageError

SCHEMA_VERSION: Final = 1
_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",
    "foreign_keys=ON",
    "temp_store=MEMORY",
    "busy_timeout=10000",
)


class Base(DeclarativeBase):
    """All tables of the service."""


class BankRow(Base):
    """One row: the version of these tables, and what every enrollment in them must fit."""

    __tablename__ = "bank"
    version: Mapped[int] = mapped_column(primary_key=True)
    backbone: Mapped[str]
    dim: Mapped[int]
    hidden: Mapped[int]


class Account(Base):
    """Someone who uploads and enrols. `token_hash` is None for one who only uses the CLI."""

    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    token_hash: Mapped[bytes | None] = mapped_column(unique=True)
    moderator: Mapped[bool] = mapped_column(default=False)
    created: Mapped[str] = mapped_column(default=lambda: datetime.now(UTC).isoformat())


class EnrollmentRow(Base):
    """One enrollment file as it came, who sent it, and whether it counts."""

    __tablename__ = "enrollments"
    # The order of arrival is the order of the bank's columns, also after a restart.
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    status: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")
    created: Mapped[str] = mapped_column(default=lambda: datetime.now(UTC).isoformat())
    content: Mapped[bytes] = mapped_column(deferred=True)


class ContestRow(Base):
    """A contested pair: `overrider` may not override a claim of `claimant`.

    Stored, because screening all pairs again at every start would take hours for a large bank.
    """

    __tablename__ = "contests"
    overrider: Mapped[str] = mapped_column(
        ForeignKey("enrollments.id", ondelete="CASCADE"), primary_key=True
    )
    claimant: Mapped[str] = mapped_column(
        ForeignKey("enrollments.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    likeness: Mapped[float]


def open_database(url: str) -> Engine:
    """Open the database and create its tables where it is new.

    Raises:
        ConfigError: the URL is not SQLite's, or its folder does not exist.
        BankError: the file is no database, or of a version that this program does not know.
        StorageError: the disk is full or not writable.
    """
    path = database_path(url)
    with storage_errors(), suppress(FileExistsError):
        # Created before SQLite does, so that it and its log are the owner's alone.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    # hide_parameters: an error in the log must not carry what was being written.
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", _prepare)
    try:
        with storage_errors():
            _check_version(engine, path)
            Base.metadata.create_all(engine)
    except (DBAPIError, BankError, StorageError) as error:
        engine.dispose()
        if not isinstance(error, DBAPIError):
            raise
        raise BankError(f"{path}: expected a bank's database, got: {error.orig}") from error
    return engine


def database_path(url: str) -> Path:
    """Return the file that a SQLite URL names, or raise a ConfigError that says what to give."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(f"--db: expected sqlite:///FILE, got {url!r}") from error
    if parsed.get_backend_name() != "sqlite" or not parsed.database or ":memory:" in url:
        raise ConfigError(f"--db: expected sqlite:///FILE, got {url!r}")
    path = Path(parsed.database)
    if not path.parent.is_dir():
        raise ConfigError(f"--db: the folder {path.parent} does not exist; create it first")
    if path.is_dir():
        raise ConfigError(f"--db: expected a file, {path} is a folder")
    return path


class storage_errors:  # noqa: N801 - used like a function
    """Turn a full or failing disk, in a block, into a StorageError."""

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        cause = error.orig if isinstance(error, OperationalError) else error
        if isinstance(cause, OSError):
            raise StorageError(f"cannot write the database: {cause.strerror}") from error
        if isinstance(cause, sqlite3.OperationalError) and _is_storage(cause):
            raise StorageError(
                f"cannot write the database: {cause}; free some space and try again, "
                "nothing was changed"
            ) from error


def forget(engine: Engine, *, patience_seconds: float = 10.0) -> None:
    """Move the log into the database and cut it to nothing, so that no erased byte stays on disk.

    Raises:
        ServiceError: a reader kept the log open all this time; call it again.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        with storage_errors(), engine.connect() as connection:
            busy, *_ = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()
        if not busy:
            return
        if time.monotonic() > deadline:
            raise ServiceError("the enrollment is erased but its log is in use; delete it again")
        time.sleep(0.05)


def _prepare(connection: Any, _: ConnectionPoolEntry) -> None:  # noqa: ANN401 - any DBAPI's
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _check_version(engine: Engine, path: Path) -> None:
    tables = set(inspect(engine).get_table_names())
    if not tables:
        return
    if "bank" not in tables:
        raise BankError(f"{path}: expected a bank's database, got one with other tables")
    with Session(engine) as session:
        versions = session.scalars(select(BankRow.version)).all()
    if any(version != SCHEMA_VERSION for version in versions):
        raise BankError(
            f"{path}: expected a database of version {SCHEMA_VERSION}, got {versions[0]}; "
            "use the release of sfumato that wrote it, or a newer one"
        )


def _is_storage(error: sqlite3.OperationalError) -> bool:
    code = error.sqlite_errorcode & 0xFF  # the low byte is the class, the rest the occasion
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY)
