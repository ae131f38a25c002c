"""A database of release 0.1 keeps everything when it is opened, and a new one is the same."""

from __future__ import annotations

import hashlib
import os
import threading

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Inspector, inspect, text

from sfumato.errors import BankError
from sfumato.serve.database import migrate
from sfumato.serve.database.clock import Clock
from sfumato.serve.database.db import open_database, open_postgres, open_sqlite
from sfumato.serve.database.migrate import scripts
from sfumato.serve.database.tables import Base
from sfumato.serve.database.url import database_url, is_sqlite
from sfumato.serve.records.erasures import erase, finish
from sfumato.serve.records.store import Store, Terms
from sfumato.serve.records.tokens import Tokens
from tests.serve.remains import holds

CONTENT = {letter * 32: os.urandom(30_000) for letter in "abc"}


def first_release(url: str, *, version: int = 1) -> None:
    """Make the database as release 0.1 did, with two accounts and three enrollments in it."""
    parsed = database_url(url)
    engine = open_sqlite(parsed) if is_sqlite(parsed) else open_postgres(parsed)
    config = Config()
    config.set_main_option("script_location", str(scripts()))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(text("DROP TABLE alembic_version"))
        bank = "INSERT INTO bank VALUES (:version, :backbone, 64, 8)"
        connection.execute(text(bank), {"version": version, "backbone": "ab" * 32})
        for number, moderator in ((1, False), (2, True)):
            row = {"id": number, "name": f"user{number}", "moderator": moderator}
            row |= {"hash": hashlib.sha256(b"token%d" % number).digest(), "at": "2026-01-01"}
            columns = "(id, name, token_hash, moderator, created)"
            values = "(:id, :name, :hash, :moderator, :at)"
            connection.execute(text(f"INSERT INTO accounts {columns} VALUES {values}"), row)
        for number, (name, content) in enumerate(CONTENT.items()):
            row = {
                "id": name,
                "account": 1 + number % 2,
                "content": content,
                "at": f"2026-0{number}",
            }
            columns = "(id, account_id, status, reason, created, content)"
            values = "(:id, :account, 'active', '', :at, :content)"
            connection.execute(text(f"INSERT INTO enrollments {columns} VALUES {values}"), row)
        first, second, _ = CONTENT
        pair = {"first": first, "second": second}
        connection.execute(text("INSERT INTO contests VALUES (:first, :second, 0.5)"), pair)
    engine.dispose()


def differences(engine: Engine) -> list[object]:
    def wanted(name: str | None, kind: str, _: object) -> bool:
        return kind != "table" or not str(name).startswith("contents_")  # PostgreSQL's parts

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": wanted})
        return list(compare_metadata(context, Base.metadata))


def test_the_migrations_make_the_tables(database: str) -> None:
    engine = open_database(database)
    assert differences(engine) == []
    engine.dispose()


def test_every_enrollment_account_token_and_contest_is_kept(database: str) -> None:
    first_release(database)
    engine = open_database(database)
    assert differences(engine) == []
    store = Store(engine)
    assert store.terms() == Terms(backbone="ab" * 32, dim=64, hidden=8)
    assert {stored.id: stored.content for stored in store.active()} == CONTENT
    assert [entry.account for entry in store.entries()] == ["user1", "user2", "user1"]
    assert [(pair.overrider, pair.value) for pair in store.contests()] == [(min(CONTENT), 0.5)]
    roles = {}
    for number in (1, 2):
        account = Tokens(engine, Clock(engine)).account(f"Bearer token{number}")
        assert account.name == f"user{number}"
        roles[account.role] = sorted(account.scopes)
    assert roles == {"user": ["enroll", "upload"], "moderator": ["enroll", "moderate", "upload"]}
    erase(store, min(CONTENT), actor="user1")
    assert store.contests() == []
    engine.dispose()
    again = open_database(database)
    assert len(Store(again).entries()) == 2
    again.dispose()


def test_an_upgrade_leaves_no_second_copy_of_an_enrollment(
    database: str, request: pytest.FixtureRequest
) -> None:
    """PostgreSQL keeps the bytes of a column that is dropped."""
    first_release(database)
    engine = open_database(database)
    name, *kept = CONTENT
    assert holds(engine, request, CONTENT[name])
    store = Store(engine)
    erase(store, name, actor="user1")
    assert finish(store)
    assert not holds(engine, request, CONTENT[name])
    assert holds(engine, request, CONTENT[kept[0]])
    engine.dispose()


def test_an_unknown_version_of_the_first_release_is_refused(database: str) -> None:
    first_release(database, version=7)
    with pytest.raises(BankError, match="or older, got 7"):
        open_database(database)


def test_of_many_processes_one_upgrades(database: str) -> None:
    first_release(database)
    found: list[int] = []

    def opens() -> None:
        engine = open_database(database)
        found.append(len(Store(engine).entries()))
        engine.dispose()

    threads = [threading.Thread(target=opens) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [3, 3, 3, 3]


def test_nobody_reads_the_old_tables_while_another_rebuilds_them(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_release(database)
    others: list[threading.Thread] = []

    def overtaken(connection: Connection) -> Inspector:
        found = inspect(connection)
        found.get_table_names()  # kept by the inspector
        if not others:
            others.append(threading.Thread(target=lambda: open_database(database).dispose()))
            others[0].start()
            others[0].join(0.5)
        return found

    monkeypatch.setattr(migrate, "inspect", overtaken)
    engine = open_database(database)
    others[0].join()
    assert len(Store(engine).entries()) == 3
    engine.dispose()


def test_the_newest_version_is_that_of_the_last_migration() -> None:
    found = ScriptDirectory(str(scripts())).get_heads()
    assert found == [migrate.NEWEST]
