"""Where a database is: its URL as it is given, and as it may be shown."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError

from sfumato.errors import ConfigError

_EXPECTED: Final = "expected sqlite:///FILE or postgresql://USER@HOST/NAME"


def file_url(path: Path) -> URL:
    """Return the URL of a SQLite file, whatever characters its path has."""
    return URL.create("sqlite", database=str(path.absolute()))


def database_url(url: str | URL) -> URL:
    """Return the parsed URL of a database, or raise a ConfigError that says what to give."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(f"`db`: {_EXPECTED}, got {url!r}") from error
    backend = parsed.get_backend_name()
    if backend == "postgresql" and parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise ConfigError(f"`db`: {_EXPECTED}, got {parsed.render_as_string()!r}")
    if parsed.query or (isinstance(url, str) and "?" in url):
        # Another file than the one that is meant would be opened, without a word.
        raise ConfigError(
            f"`db`: {_EXPECTED}, got {str(url)!r}: what follows a ? is no part of FILE; take a "
            "name without one"
        )
    path = Path(parsed.database)
    if not path.parent.is_dir():
        raise ConfigError(f"`db`: the folder {path.parent} does not exist; create it first")
    if path.is_dir():
        raise ConfigError(f"`db`: expected a file, {path} is a folder")
    return parsed


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
