"""Bring a database to the newest tables, in one transaction, whichever process comes first."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, inspect, text

from sfumato.errors import BankError
from sfumato.serve.database.errors import connected
from sfumato.serve.database.locks import change_lock
from sfumato.serve.database.url import place

_FIRST: Final = "0001"
NEWEST: Final = "0009"
"""The last migration. Written here so that a database of this version is opened without Alembic,
which takes a fifth of a second to import; a test holds it and `migrations` together."""
_VERSIONS: Final = "alembic_version"
_FOREIGN: Final = "(other tables)"


def upgrade(engine: Engine) -> None:
    """Run the steps that the database lacks; a new one gets all of them.

    Raises:
        BankError: it holds other tables, or was written by a newer program; it is unchanged.
    """
    if is_newest(engine):
        return
    # Only the lock's holder looks closer: another process may be rebuilding the tables meanwhile.
    with change_lock(engine), connected(engine) as connection:
        _refuse_unknown(connection)
        lenient = connection.dialect.name == "sqlite"
        if lenient:
            # Rebuilding a table drops the old one, and with foreign keys on, what refers to it.
            _pragma(connection, "foreign_keys=OFF")
        try:
            with connection.execution_options(sqlite_begin="EXCLUSIVE").begin():
                _run(connection)
                if lenient and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise BankError(f"{place(engine)} refers to rows that are not there")
        finally:
            if lenient:
                _pragma(connection, "foreign_keys=ON")


def check_known(engine: Engine) -> None:
    """Raise a BankError where `upgrade` would, and change nothing."""
    if not is_newest(engine):
        with connected(engine) as connection:
            _refuse_unknown(connection)


def _run(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts()))
    config.attributes["connection"] = connection
    if _found(connection) == _FIRST:
        command.stamp(config, _FIRST)
    command.upgrade(config, "head")


def is_newest(engine: Engine) -> bool:
    """Return whether the database lacks no step."""
    with connected(engine) as connection, connection.begin():
        return inspect(connection).has_table(_VERSIONS) and _revision(connection) == NEWEST


def _revision(connection: Connection) -> str | None:
    """Return the migration that Alembic ran last, or None where it ran none."""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _refuse_unknown(connection: Connection) -> None:
    from alembic.script import ScriptDirectory

    with connection.begin():
        found, where = _found(connection), place(connection.engine)
    known = {step.revision for step in ScriptDirectory(str(scripts())).walk_revisions()}
    if found == _FOREIGN:
        raise BankError(f"{where}: expected a bank's database, got one with other tables")
    if found is not None and found not in known:
        raise BankError(
            f"{where}: expected a database of version {NEWEST} or older, got {found[:20]}; "
            "use the release of sfumato that wrote it, or a newer one"
        )


def _found(connection: Connection) -> str | None:
    """The database's version; None where it is new."""
    tables = set(inspect(connection).get_table_names())
    if _VERSIONS in tables:
        return _revision(connection)
    if not tables:
        return None
    if "bank" not in tables:
        return _FOREIGN
    # Release 0.1 had no migrations, but a version in its bank.
    versions = connection.execute(text("SELECT version FROM bank")).scalars().all()
    return _FIRST if set(versions) <= {1} else str(versions[0])


def scripts() -> Path:
    """Return the folder of the migrations."""
    return Path(__file__).parents[1] / "migrations"


def _pragma(connection: Connection, pragma: str) -> None:
    # Inside a transaction SQLite ignores it: it goes to the driver, which has not begun one.
    driver = connection.connection.driver_connection
    if driver is not None:
        driver.execute(f"PRAGMA {pragma}")
