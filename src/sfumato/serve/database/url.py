"""Where a database is: its URL as it is given, and as it may be shown."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError

from sfumato.errors import ConfigError
from sfumato.extras import needs
from sfumato.files import at_home

_EXPECTED: Final = "expected a file, sqlite:///FILE or postgresql://USER@HOST/NAME"


def file_url(path: Path) -> URL:
    """Return the URL of a SQLite file, whatever characters its path has."""
    return URL.create("sqlite", database=str(path.absolute()))


def database_url(database: str | URL) -> URL:
    """Return the URL of a database that is given as a SQLite file's path or as a URL.

    Raises:
        ConfigError: it is neither, or the file's folder does not exist.
        UnavailableError: it is PostgreSQL's, whose driver is not installed.
    """
    try:
        url = _file_as_url(database) if isinstance(database, str) else database
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(f"`db`: {_EXPECTED}, got {database!r}") from error
    backend = parsed.get_backend_name()
    if backend == "postgresql" and parsed.drivername in ("postgresql", "postgresql+psycopg"):
        needs("serve", "PostgreSQL", "psycopg")
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise ConfigError(f"`db`: {_EXPECTED}, got {parsed.render_as_string()!r}")
    if parsed.query or (isinstance(url, str) and "?" in url):
        # Another file than the one that is meant would be opened, without a word.
        raise ConfigError(
            f"`db`: {_EXPECTED}, got {str(url)!r}: what follows a ? is no part of FILE; "
            "give the file's path without sqlite:///"
        )
    path = Path(parsed.database)
    if not path.parent.is_dir():
        raise ConfigError(f"`db`: the folder {path.parent} does not exist; create it first")
    if path.is_dir():
        raise ConfigError(f"`db`: expected a file, {path} is a folder")
    return parsed.set(database=str(path.absolute()))


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
    return str(path) if path else engine.url.set(password=None).render_as_string()
