"""A backup holds everything, restores into either database, and is refused when damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from sfumato.errors import BankError, InputError
from sfumato.filter.enrollment import open_enrollment
from sfumato.serve.app import create_app
from sfumato.serve.backup import backup, check, check_backup, restore
from sfumato.serve.database.db import open_database
from sfumato.serve.database.tables import Base
from sfumato.serve.records.auth import add_account
from sfumato.serve.records.erasures import erase, purge
from sfumato.serve.records.store import Store, Stored, Terms
from sfumato.serve.service import FilterService
from sfumato.serve.settings import ServeSettings
from tests.serve.conftest import Start, bearer, new_database, on_both_kinds
from tests.serve.postgres import Cluster
from tests.serve.remains import content_of
from tests.serve.world import World

database = on_both_kinds


def rows(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    with engine.connect() as connection:
        return {
            name: sorted(map(tuple, connection.execute(table.select())), key=repr)
            for name, table in Base.metadata.tables.items()
        }


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with new_database(request, tmp_path / "target.db", made=False) as url:
        yield url


def busy(start: Start, world: World) -> tuple[TestClient, FilterService, dict[str, str]]:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    for digit in world.enrollments:
        client.post("/v1/enrollments", content=world.enrollments[digit], headers=ada)
    client.post("/v1/enrollments", content=world.copy(0), headers=eve)
    for index in range(5):
        client.post("/v1/uploads", content=world.png(0, index), headers=eve)
    service.tally.keep(now=True)  # it would be kept a moment later, during the test
    gone = open_enrollment(world.enrollments[6]).id
    assert client.delete(f"/v1/enrollments/{gone}", headers=ada).status_code == 204
    return client, service, eve


def test_a_backup_taken_from_a_running_service_restores_all_of_it(
    start: Start, world: World, target: str, tmp_path: Path
) -> None:
    client, service, eve = busy(start, world)
    file = tmp_path / "saved.backup"
    saved = backup(service.store.engine, file)
    assert saved.enrollments == 3
    assert file.stat().st_mode & 0o077 == 0
    assert {path.name for path in tmp_path.iterdir() if "saved" in path.name} == {file.name}
    engine = open_database(target)
    assert restore(file, engine) == saved == check(engine)
    before, after = rows(service.store.engine), rows(engine)
    assert {k: v for k, v in before.items() if k != "clock"} == {
        k: v for k, v in after.items() if k != "clock"
    }
    engine.dispose()
    settings = ServeSettings(backbone=world.backbone_file, database=target, workers=0)
    again = FilterService.open(settings)
    other = TestClient(create_app(again))
    for index in range(12):
        sent = {"content": world.png(0, index), "headers": eve}
        here, there = (c.post("/v1/uploads", **sent).json() for c in (client, other))
        assert here["decision"] == there["decision"]
    # Numbers go on after those that came with the backup.
    made = other.post("/v1/enrollments", content=world.small(1), headers=bearer(again, "new"))
    assert made.status_code == 201
    again.close()


def test_a_database_in_use_is_not_overwritten(start: Start, world: World, tmp_path: Path) -> None:
    _, service, _ = busy(start, world)
    file = tmp_path / "saved.backup"
    backup(service.store.engine, file)
    before = rows(service.store.engine)
    with pytest.raises(InputError, match="is not empty"):
        restore(file, service.store.engine)
    assert {k: v for k, v in rows(service.store.engine).items() if k != "clock"} == {
        k: v for k, v in before.items() if k != "clock"
    }


def test_a_damaged_backup_is_refused_and_nothing_is_restored(
    start: Start, world: World, target: str, tmp_path: Path
) -> None:
    _, service, _ = busy(start, world)
    file = tmp_path / "saved.backup"
    backup(service.store.engine, file)
    name = open_enrollment(world.enrollments[1]).id
    with sqlite3.connect(file) as connection:
        query = "SELECT content FROM contents WHERE enrollment = ?"
        content = bytearray(connection.execute(query, (name,)).fetchone()[0])
        content[-9] ^= 1
        change = "UPDATE contents SET content = ? WHERE enrollment = ?"
        connection.execute(change, (bytes(content), name))
    connection.close()
    engine = open_database(target)
    with pytest.raises(BankError, match=f"enrollment {name} in the database is damaged"):
        restore(file, engine)
    assert all(not found for table, found in rows(engine).items() if table != "clock")
    engine.dispose()
    for wrong in (tmp_path / "none", world.backbone_file):
        engine = open_database(target)
        with pytest.raises((InputError, BankError)):
            restore(wrong, engine)
        engine.dispose()


def test_a_failed_backup_leaves_the_old_one(
    start: Start, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, service, _ = busy(start, world)
    file = tmp_path / "saved.backup"
    file.write_bytes(b"the old one")
    monkeypatch.setattr("sfumato.serve.backup.check", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        backup(service.store.engine, file)
    assert file.read_bytes() == b"the old one"
    assert {path.name for path in tmp_path.glob("*saved*")} == {file.name}


def test_a_backup_of_an_older_version_stays_one(tmp_path: Path, target: str) -> None:
    """It was upgraded, and the old program, which is the way back, refused it from then on."""
    source, file = open_database(str(tmp_path / "bank.db")), tmp_path / "saved.backup"
    add_account(source, "ada")
    backup(source, file)
    source.dispose()
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0008'")
    before = file.read_bytes()
    check_backup(file)
    engine = open_database(target)
    restore(file, engine)
    assert [row[1] for row in rows(engine)["accounts"]] == ["ada"]
    engine.dispose()
    assert file.read_bytes() == before
    assert not list(tmp_path.glob(".restore-*"))


def test_a_database_is_not_replaced_by_its_own_backup(world: World, tmp_path: Path) -> None:
    """Services went on writing into the file that was there, and all of that was lost."""
    path, link = tmp_path / "bank.db", tmp_path / "link.db"
    link.symlink_to(path)
    engine = open_database(str(path))
    for own in (path, link):
        with pytest.raises(InputError, match="it is read here, and would be lost"):
            backup(engine, own)
    add_account(engine, "ada")
    engine.dispose()
    assert len(rows(open_database(str(path)))["accounts"]) == 1


def test_purging_rids_postgresql_of_what_was_erased(cluster: Cluster, world: World) -> None:
    url = cluster.new_database()
    engine = open_database(url)
    store = Store(engine)
    store.fix_terms(Terms(backbone=world.backbone.fingerprint, dim=64, hidden=8))
    account, _ = add_account(engine, "ada")
    contents = {f"{n:032x}": world.small(n) for n in range(4)}
    for name, content in contents.items():
        stored = Stored(id=name, account_id=account.id, content=content)
        store.insert(stored, status="active", reason="")
    kept, *gone = contents
    for name in gone:
        erase(store, name, actor="ada")

    def held(content: bytes) -> bool:
        # Compressed out of line in pieces of 2,000 bytes: random weights do not compress.
        piece = content[-900:-860]
        files = (cluster.data / "base").rglob("*")
        return any(piece in content_of(path) for path in files if path.is_file())

    purge(store)
    assert held(contents[kept])
    assert not [name for name in gone if held(contents[name])]
    assert [stored.id for stored in store.active()] == [kept]
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM enrollments")) == 1
    engine.dispose()
    cluster.drop(url)
