"""Looks for an enrollment's bytes in the files of a database, as somebody with the disk would."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from sfumato.serve.database.url import sqlite_path
from tests.serve.postgres import Cluster


def holds(engine: Engine, request: pytest.FixtureRequest, content: bytes) -> bool:
    """Whether any file of a database has a piece of an enrollment's weights."""
    path = sqlite_path(engine)
    if path is None:
        found: Cluster = request.getfixturevalue("cluster")
        folder = found.data / "base"
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("CHECKPOINT"))  # writes what is in memory
    else:
        folder = path.parent
    files = b"".join(content_of(part) for part in folder.rglob("*") if part.is_file())
    return any(content[at : at + 24] in files for at in range(len(content) // 2, len(content), 97))


def content_of(part: Path) -> bytes:
    """Return what a file of a running database holds; nothing where it is gone by now."""
    with suppress(FileNotFoundError):  # a server renames and removes some meanwhile
        return part.read_bytes()
    return b""
