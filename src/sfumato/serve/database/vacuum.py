"""Rewriting tables of PostgreSQL, whose driver a bank on SQLite does without."""

from __future__ import annotations

import re
from typing import Final

from psycopg import Connection as Driver
from psycopg import Error
from psycopg.errors import Diagnostic
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from sfumato.serve.database.errors import connected

ALL: Final = "contents"
"""The table of all enrollment files; `migrations` makes its parts."""
_WIDTH: Final = 4  # of the 256 values of an id's first two digits: 64 parts
_LOCKED: Final = "55P03"


def part_of(enrollment: str) -> str:
    """Return the part of the table that holds the file of the enrollment of this id."""
    first = int(enrollment[:2], 16) // _WIDTH * _WIDTH
    return f"{ALL}_{first:02x}"


def rewrite_table(engine: Engine, table: str, *, lock_ms: int) -> bool:
    """Rewrite a part of the enrollment files, or `ALL`; return whether no deleted row was kept.

    Waits so long for whoever reads it, without an end where that is 0.
    """
    kept: list[str] = []
    with connected(engine) as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        driver = _driver(connection)

        def hear(said: Diagnostic) -> None:
            # "0 dead row versions cannot be removed yet", in the server's language.
            kept.extend(re.findall(r"\d+", said.message_detail or "")[:1])

        driver.add_notice_handler(hear)
        try:
            connection.execute(text(f"SET lock_timeout = {lock_ms}"))
            connection.execute(text(f"VACUUM (FULL, VERBOSE) {table}"))
        except DBAPIError as error:
            if isinstance(error.orig, Error) and error.orig.sqlstate == _LOCKED:
                return False
            raise
        finally:
            driver.remove_notice_handler(hear)
            if not connection.invalidated:
                connection.execute(text("SET lock_timeout = 0"))
    return bool(kept) and set(kept) == {"0"}


def _driver(connection: Connection) -> Driver[tuple[object, ...]]:
    found = connection.connection.driver_connection
    if not isinstance(found, Driver):
        raise TypeError(f"expected a connection of psycopg, got {type(found).__name__}")
    return found
