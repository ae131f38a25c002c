"""The database refuses what it does not know, and forgets what it was told to."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from sfumato.errors import BankError, ConfigError, RequestError, ServiceError
from sfumato.filter.rule.screening import Likeness
from sfumato.serve.database.db import open_database
from sfumato.serve.database.erasing import forget, rewrite
from sfumato.serve.records.auth import add_account
from sfumato.serve.records.erasures import erase, finish
from sfumato.serve.records.store import Store, Stored, Terms

TERMS = Terms(backbone="ab" * 32, dim=64, hidden=8)


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/bank.db"


def test_it_is_durable_private_and_survives_reopening(tmp_path: Path) -> None:
    engine = open_database(url(tmp_path))
    with engine.connect() as connection:
        values = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
        }
    assert values == {
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 1,
        "foreign_keys": 1,
    }
    Store(engine).fix_terms(TERMS)
    engine.dispose()
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0
    again = open_database(url(tmp_path))
    assert Store(again).terms() == TERMS
    again.dispose()


def test_other_terms_are_refused(database: str) -> None:
    engine = open_database(database)
    store = Store(engine)
    store.fix_terms(TERMS)
    store.fix_terms(TERMS)
    with pytest.raises(BankError, match="M = 8; got backbone"):
        store.fix_terms(Terms(backbone="cd" * 32, dim=64, hidden=8))
    engine.dispose()


def test_a_database_of_another_version_is_refused_unchanged(tmp_path: Path) -> None:
    engine = open_database(url(tmp_path))
    Store(engine).fix_terms(TERMS)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    forget(engine, [])
    engine.dispose()
    before = (tmp_path / "bank.db").read_bytes()
    with pytest.raises(BankError, match="or older, got 9999"):
        open_database(url(tmp_path))
    assert (tmp_path / "bank.db").read_bytes() == before


def test_foreign_files_are_refused_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "bank.db"
    for content in (b"no database at all" * 100, b"a note", b"SQLite format 4\0", b"\0" * 600):
        path.write_bytes(content)
        with pytest.raises(BankError, match="expected a bank's database"):
            open_database(url(tmp_path))
        assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    with pytest.raises(BankError, match="other tables"):
        open_database(url(tmp_path))


@pytest.mark.parametrize(
    "wrong",
    [
        "mysql://host/bank",
        "postgresql+asyncpg://host/bank",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////no/such/b",
        "sqlite:///what?.db",
        "sqlite:///bank.db?mode=ro",
    ],
)
def test_wrong_urls_are_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="`db`: "):
        open_database(wrong)


def test_erased_content_is_in_no_file(tmp_path: Path) -> None:
    engine = open_database(url(tmp_path))
    store = Store(engine)
    store.fix_terms(TERMS)
    account, _ = add_account(engine, "ada")
    secrets = {f"{n:032x}": os.urandom(40_000 + n) for n in range(6)}
    for name, content in secrets.items():
        stored = Stored(id=name, account_id=account.id, content=content)
        store.insert(stored, status="active", reason="", contests=[])
    kept, *gone = secrets
    for name in gone:
        erase(store, name, actor="ada")
    assert finish(store)
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for name in gone:
        pieces = [secrets[name][at : at + 24] for at in range(0, 40_000, 997)]
        assert not [piece for piece in pieces if piece in files]
        assert store.find(name) is None
    assert [stored.content for stored in store.active()] == [secrets[kept]]
    engine.dispose()


def test_an_enrollment_is_stored_once_and_its_contests_go_with_it(database: str) -> None:
    engine = open_database(database)
    store = Store(engine)
    store.fix_terms(TERMS)
    account, _ = add_account(engine, "ada")
    first, second = (
        Stored(id=letter * 32, account_id=account.id, content=letter.encode()) for letter in "ab"
    )
    pair = Likeness(overrider=second.id, claimant=first.id, value=1.25)
    store.insert(first, status="active", reason="", contests=[])
    store.insert(second, status="quarantined", reason="close", contests=[pair])
    with pytest.raises(RequestError) as caught:
        store.insert(second, status="active", reason="", contests=[])
    assert caught.value.status == 409
    assert store.contests() == [pair]
    assert [entry.id for entry in store.entries(status="quarantined")] == [second.id]
    assert store.tries(account.id, account.name, days=1.0) == 2
    erase(store, first.id, actor="ada")
    assert store.held(account.id) == []
    assert store.tries(account.id, account.name, days=1.0) == 2
    store.refuse("c" * 32, "ada")
    assert store.tries(account.id, account.name, days=1.0) == 3
    assert store.tries(account.id, "eve", days=1.0) == 1  # the quarantined one, which is held
    later = store.clock.now().timestamp() + 86_500
    store.clock.system = lambda: later
    assert store.tries(account.id, account.name, days=1.0) == 1
    assert store.contests() == []
    assert [(change.kind, change.enrollment) for change in store.changes(0)] == [
        ("add", first.id),
        ("remove", first.id),
    ]
    assert store.changes(store.last_change()) == []
    engine.dispose()


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(ServiceError, match="does not answer") as caught:
        open_database("postgresql://ada:secret@127.0.0.1:9/bank")
    assert "127.0.0.1:9/bank" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    engine = open_database(url(tmp_path))
    store = Store(engine)
    account, _ = add_account(engine, "ada")
    for letter in "abcdef":
        stored = Stored(id=letter * 32, account_id=account.id, content=os.urandom(20_000))
        store.insert(stored, status="active", reason="", contests=[])
    forget(engine, [])
    engine.dispose()
    path = tmp_path / "bank.db"
    content = bytearray(path.read_bytes())
    content[8192:] = random.Random(0).randbytes(len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(BankError, match=r"bank\.db.*damaged"):
        list(Store(open_database(url(tmp_path))).active())


def test_the_log_is_cut_once_nobody_reads_what_was_and_writers_wait_as_before(
    tmp_path: Path,
) -> None:
    engine = open_database(url(tmp_path))
    log = tmp_path / "bank.db-wal"

    def patience() -> int:
        with engine.connect() as connection:
            return int(connection.execute(text("PRAGMA busy_timeout")).scalar_one())

    usual = patience()
    assert usual >= 1000
    with closing(sqlite3.connect(tmp_path / "bank.db", isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM enrollments").fetchone()
        Store(engine).fix_terms(TERMS)
        assert log.stat().st_size > 0
        assert not forget(engine, ["a"])
        assert patience() == usual
        assert log.stat().st_size > 0
    assert forget(engine, ["a"]) == ["a"]
    assert (patience(), log.stat().st_size) == (usual, 0)
    add_account(engine, "ada")
    assert log.stat().st_size > 0
    rewrite(engine)
    assert (patience(), log.stat().st_size) == (usual, 0)
    engine.dispose()
