"""Where a database is: its URL as it is given, and as it may be shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError

from sfumato.errors import ConfigError
from sfumato.extras import needs
from sfumato.files import at_home
from sfumato.printable import without_secrets

_EXPECTED: Final = "expected a file, sqlite:///FILE or postgresql://USER@HOST/NAME"


def file_url(path: Path) -> URL:
    """Return the URL of a SQLite file, whatever characters its path has.

    It names the file itself, and no link to it: the lock and the log lie beside it.
    """
    return URL.create("sqlite", database=os.path.realpath(path))


def database_url(database: str | URL) -> URL:
    """Return the URL of a database that is given as a SQLite file's path or as a URL.

    Raises:
        ConfigError: it is neither, or the file's folder does not exist.
        UnavailableError: it is PostgreSQL's, whose driver is not installed.
    """
    try:
        url = _file_as_url(database) if isinstance(database, str) else database
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # the latter of a port that is no number
        raise ConfigError(f"`db`: {_EXPECTED}, got {shown(database)!r}") from error
    backend = parsed.get_backend_name()
    if backend == "postgresql" and parsed.drivername in ("postgresql", "postgresql+psycopg"):
        needs("serve", "PostgreSQL", "psycopg")
        return parsed.set(drivername="postgresql+psycopg")
    nowhere = not parsed.database or parsed.database == ":memory:" or "\0" in parsed.database
    if backend != "sqlite" or nowhere or parsed.host or parsed.username:
        raise ConfigError(f"`db`: {_EXPECTED}, got {shown(parsed)!r}")
    if parsed.query or (isinstance(url, str) and "?" in url):
        # Another file than the one that is meant would be opened, without a word.
        raise ConfigError(
            f"`db`: {_EXPECTED}, got {shown(url)!r}: what follows a ? is no part of FILE; "
            "give the file's path without sqlite:///"
        )
    path = Path(str(parsed.database))
    _check_file(path)
    return file_url(path)


def shown(database: str | URL) -> str:
    """Return where a database is, fit to print: no password, however wrongly it was typed."""
    return without_secrets(database if isinstance(database, str) else database.render_as_string())


def _check_file(path: Path) -> None:
    """Refuse what cannot be a SQLite file."""
    try:
        folder, kind = path.parent.is_dir(), _kind_of(path)
    except OSError as error:  # its name is too long, or its folder is closed
        raise ConfigError(f"`db`: cannot use {shown(str(path))}: {error.strerror}") from error
    if not folder:
        raise ConfigError(
            f"`db`: the folder {shown(str(path.parent))} does not exist; create it first"
        )
    if kind:
        raise ConfigError(f"`db`: expected a file, {path} is a {kind}")


def _kind_of(path: Path) -> str:
    """Return what is there that is no file; empty where there is a file, or nothing."""
    if path.is_dir():
        return "folder"
    return "device" if path.exists() and not path.is_file() else ""


def _file_as_url(database: str) -> str | URL:
    # "sqlite:bank.db" is a URL with a fault, not a file of that name.
    if "://" in database or database.startswith(("sqlite:", "postgresql:")):
        return database
    return file_url(at_home(database))


def is_sqlite(url: URL) -> bool:
    """Return whether a parsed URL is SQLite's."""
    return url.get_backend_name() == "sqlite"


def sqlite_path(engine: Engine) -> Path | None:
    """Return the file of a SQLite database, or None of another."""
    return Path(str(engine.url.database)) if is_sqlite(engine.url) else None


def place(engine: Engine) -> str:
    """Return where the database is, fit to show: without a password."""
    path = sqlite_path(engine)
    return str(path) if path else shown(engine.url)
