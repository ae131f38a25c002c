"""Where a database is: the file of the name that was given, whatever is in that name."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfumato.errors import ConfigError, ServiceError, StorageError
from sfumato.serve.backup import backup, restore
from sfumato.serve.database.db import open_database
from sfumato.serve.database.locks import change_lock
from sfumato.serve.database.url import database_url, file_url, sqlite_path
from sfumato.serve.local import opened
from sfumato.serve.records.store import Terms
from sfumato.serve.sharded.serving import orders

NAMES = (
    "what?.db",
    "a?b=c.db",
    "one#two.db",
    "100%.db",
    "a%20b.db",
    "%3F.db",
    "a b.db",
    "M\u00fcller.db",
    "C:\\bank.db",
    "a@b:c;d&e.db",
    "file:x.db",
    "+.db",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_bank_is_the_file_that_was_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    engine = open_database(database_url(str(path)))
    assert sqlite_path(engine) == path
    engine.dispose()
    with opened(str(path)) as store:
        assert store.entries() == []
    copy = tmp_path / f"copy of {name}"
    backup(open_database(file_url(path)), copy)
    restored = open_database(file_url(tmp_path / f"again {name}"))
    restore(copy, restored)
    restored.dispose()
    databases = {p.name for p in tmp_path.iterdir()} - {
        p.name for p in tmp_path.iterdir() if p.name.endswith((".lock", "-wal", "-shm"))
    }
    assert databases == {name, f"copy of {name}", f"again {name}"}


@pytest.mark.parametrize("name", NAMES)
def test_a_relative_path_is_taken_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert database_url(name).database == str(tmp_path / name)


def test_a_bank_may_be_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert database_url("~/my.bank").database == str(tmp_path / "my.bank")


@pytest.mark.parametrize("name", NAMES)
def test_a_shard_opens_the_same_file(tmp_path: Path, name: str) -> None:
    (order,) = orders(str(tmp_path / name), Terms(backbone="0" * 64, dim=2, hidden=2), 1)
    assert database_url(order.database).database == str(tmp_path / name)


def test_a_link_to_a_bank_is_the_bank(tmp_path: Path) -> None:
    """Its lock lies beside it: two names of it were two locks, and two who change it."""
    there = tmp_path / "there"
    there.mkdir()
    (tmp_path / "link.db").symlink_to(there / "bank.db")
    (tmp_path / "here").symlink_to(there)
    open_database(str(there / "bank.db")).dispose()
    for name in ("link.db", "here/bank.db"):
        engine, again = open_database(str(tmp_path / name)), open_database(f"{there}/bank.db")
        refused = pytest.raises(ServiceError, match="others keep changing")
        with change_lock(engine), refused, change_lock(again, patience_seconds=0.0):
            pass
        engine.dispose()
        again.dispose()


def test_a_link_to_itself_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "bank.db").symlink_to(tmp_path / "bank.db")
    with pytest.raises(StorageError, match="cannot write the database"):
        open_database(str(tmp_path / "bank.db"))


def test_a_url_that_would_open_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"what follows a \? is no part of FILE"):
        open_database(f"sqlite:///{tmp_path}/what?.db")
    assert list(tmp_path.iterdir()) == []


def test_a_url_with_a_fault_is_no_file_name() -> None:
    with pytest.raises(ConfigError, match="expected a file, sqlite:///FILE or postgresql:"):
        database_url("sqlite:bank.db")
