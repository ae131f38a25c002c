"""An erasure that is acknowledged is carried out, whatever happens, and that is proven."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, text

from sfumato.errors import BankError
from sfumato.filter.enrollment import open_enrollment
from sfumato.serve.backup import check
from sfumato.serve.bank import eraser
from sfumato.serve.clients.filter import FilterClient
from sfumato.serve.database.db import beside, open_database
from sfumato.serve.database.erasing import forget
from sfumato.serve.database.url import sqlite_path
from sfumato.serve.database.vacuum import part_of
from sfumato.serve.records import erasures
from sfumato.serve.records.auth import add_account
from sfumato.serve.records.erasures import count, erase, finish, purge
from sfumato.serve.records.store import Store
from tests.serve.conftest import MOSTLY_POSTGRESQL, Start, bearer, on_both_kinds
from tests.serve.live import LiveServer
from tests.serve.remains import holds
from tests.serve.world import World
from tests.waiting import wait_until

database = on_both_kinds


@contextmanager
def reader(engine: Engine) -> Iterator[None]:
    """Somebody who looks at the database as it is now: a backup, say."""
    other = beside(engine, connections=1)
    with other.connect() as connection:
        if engine.dialect.name != "sqlite":
            connection.execution_options(isolation_level="REPEATABLE READ")
        connection.execute(text("SELECT count(*) FROM enrollments")).scalar()
        yield
    other.dispose()


@contextmanager
def reading_part(engine: Engine, part: str) -> Iterator[None]:
    """Somebody who reads one part of the files in a transaction that began with nothing erased."""
    other = beside(engine, connections=1)
    with other.connect() as connection:
        connection.execute(text(f"LOCK TABLE {part} IN ACCESS SHARE MODE"))
        yield
    other.dispose()


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an answer wait for little where somebody's reading holds the erasure up."""
    monkeypatch.setattr("sfumato.serve.service._ERASE_SECONDS", 0.2)


def test_an_erasure_with_a_reader_open_is_carried_out_when_it_can_be(
    start: Start, world: World, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    engine, content = service.store.engine, world.enrollments[0]
    kept = client.post("/v1/enrollments", content=world.small(5), headers=ada).json()
    made = client.post("/v1/enrollments", content=content, headers=ada).json()
    path, upload = f"/v1/enrollments/{made['id']}", {"content": world.png(0, 0), "headers": eve}
    assert client.post("/v1/uploads", **upload).json()["decision"] == "block"
    assert holds(engine, request, content)
    with reader(engine):
        answer = client.delete(path, headers=ada)
        assert answer.status_code == 202
        assert answer.json()["done"] is None
        # It decides nothing any more, and nobody can tell that it was there.
        assert client.post("/v1/uploads", **upload).json()["decision"] == "share"
        assert [e["id"] for e in client.get("/v1/enrollments", headers=ada).json()] == [kept["id"]]
        assert client.get("/v1/erasures", headers=ada).json() == [answer.json()]
        assert client.get("/v1/erasures", headers=eve).json() == []
        assert "sfumato_erasures_pending 1.0" in client.get("/metrics").text
        again = client.delete(path, headers=ada)
        assert (again.status_code, again.json()) == (202, answer.json())
        assert client.delete(path, headers=eve).status_code == 404
        found = check(engine)
        assert (found.enrollments, found.erased, found.pending) == (1, 0, 1)
        assert holds(engine, request, content)
    wait_until(lambda: client.get("/v1/erasures", headers=ada).json()[0]["done"] is not None)
    assert not holds(engine, request, content)
    assert client.delete(path, headers=ada).status_code == 204
    found = check(engine)
    assert (found.enrollments, found.erased, found.pending) == (1, 1, 0)
    log = [e["action"] for e in _log(client, service)]
    assert log.count("erase") == 1


def _log(client: httpx.Client, service: object) -> list[dict[str, str]]:
    judge = bearer(service, "judge", role="moderator")  # type: ignore[arg-type]
    found: list[dict[str, str]] = client.get("/v1/audit", headers=judge).json()
    return found


@MOSTLY_POSTGRESQL
def test_an_erasure_outlives_the_process_that_took_it(
    world: World, tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    server, content = LiveServer(world, tmp_path, database), world.enrollments[0]
    engine = open_database(database)
    server.start()
    token = server.token("ada")
    with FilterClient(server.url, token) as ada:
        made = ada.send_enrollment(content)
        with reader(engine):
            ada.erase(made.id)
            assert [(one.id, one.done) for one in ada.erasures()] == [(made.id, None)]
            server.kill(signal.SIGKILL)
    assert holds(engine, request, content)
    server.start()
    with FilterClient(server.url, token) as ada:
        wait_until(lambda: ada.erasures()[0].done is not None)
        assert not holds(engine, request, content)
        ada.erase(made.id)
    server.kill()
    assert check(engine).erased == 1
    engine.dispose()


def test_uploads_are_recorded_while_an_erasure_waits_for_a_reader(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's log could not be written for 10 s each time that it could not be cut."""
    impatient(monkeypatch)
    tries: list[float] = []

    def timed(engine: Engine, erased: Collection[str]) -> Collection[str]:
        began = time.monotonic()
        gone = forget(engine, erased)
        tries.append(time.monotonic() - began)
        return gone

    monkeypatch.setattr(eraser, "forget", timed)
    _, service = start()
    engine = service.store.engine
    ada, eve = (add_account(engine, name)[0] for name in ("ada", "eve"))
    service.enroll(ada, world.enrollments[0])
    other = service.enroll(ada, world.small(3))
    with reader(engine):
        assert service.erase(ada, other.id) is not None
        for index in range(20):
            service.decide(eve, world.png(0, index))
        wait_until(lambda: bool(tries))
        assert max(tries) < 9


def test_the_check_finds_what_an_erasure_left(world: World, tmp_path: Path, start: Start) -> None:
    client, service = start()
    engine = service.store.engine
    path = sqlite_path(engine)
    if path is None:
        pytest.skip("a client cannot look at its files")
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    made = client.post("/v1/enrollments", content=world.enrollments[0], headers=ada).json()
    # The same weights, of somebody else: they are to be there.
    client.post("/v1/enrollments", content=world.copy(1), headers=eve)
    mine = client.post("/v1/enrollments", content=world.enrollments[1], headers=ada).json()
    for one in (made, mine):
        assert client.delete(f"/v1/enrollments/{one['id']}", headers=ada).status_code == 204
    assert check(engine).erased == 2
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE leak (bytes BLOB)")
        connection.execute("INSERT INTO leak VALUES (?)", (world.enrollments[0],))
        connection.commit()
    with pytest.raises(BankError, match=r"still holds \d+ pieces .* db purge"):
        check(engine)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE leak")
        connection.commit()
    purge(service.changing)
    assert check(engine).erased == 2


def test_what_is_enrolled_again_is_no_longer_erased(start: Start, world: World) -> None:
    client, service = start()
    ada = bearer(service, "ada")
    for _ in range(2):
        made = client.post("/v1/enrollments", content=world.small(1), headers=ada).json()
        assert client.get("/v1/erasures", headers=ada).json() == []
        assert check(service.store.engine).erased == 0
        assert client.delete(f"/v1/enrollments/{made['id']}", headers=ada).status_code == 204
        assert [e["id"] for e in client.get("/v1/erasures", headers=ada).json()] == [made["id"]]


def test_what_is_erased_again_meanwhile_is_not_taken_for_gone(
    start: Start, world: World, request: pytest.FixtureRequest
) -> None:
    """SQLite gave the second erasure the first one's number, and its bytes stayed in the log."""
    _, service = start()
    service.eraser.stop()
    store, content = service.store, world.enrollments[0]
    ada = add_account(store.engine, "ada")[0]
    id_ = service.enroll(ada, content).id
    erase(store, id_, actor="ada")

    def slow(engine: Engine, erased: Collection[str]) -> Collection[str]:
        gone = forget(engine, erased)
        service.enroll(ada, content)
        erase(store, id_, actor="ada")
        return gone

    finish(store, slow)
    assert holds(store.engine, request, content)
    assert count(store.engine).pending == 1
    wait_until(lambda: finish(store))  # whoever follows the bank reads it now and then
    assert not holds(store.engine, request, content)
    assert check(store.engine).erased == 1


def test_a_purge_rewrites_whatever_a_service_does_meanwhile(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, service = start()
    service.eraser.stop()
    store = service.store
    ada = add_account(store.engine, "ada")[0]
    erase(store, service.enroll(ada, world.small(1)).id, actor="ada")
    rewritten: list[Engine] = []
    monkeypatch.setattr(erasures, "rewrite", rewritten.append)

    def counted(engine: Engine) -> erasures.Erased:
        found = count(engine)
        finish(store)
        return found

    monkeypatch.setattr(erasures, "count", counted)
    purge(store)
    assert rewritten == [store.engine]


def test_postgresql_rewrites_only_the_part_that_an_erased_enrollment_was_in(
    start: Start, world: World, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the size of a bank never keeps bytes, and who reads one part holds up no other."""
    client, service = start()
    engine = service.store.engine
    if sqlite_path(engine) is not None:
        pytest.skip("SQLite overwrites in place")
    ada = bearer(service, "ada")
    content = world.enrollments[0]
    gone = open_enrollment(content).id
    # One in 64 lies in the same part.
    others = ((open_enrollment(one).id, one) for one in map(world.small, range(5, 50)))
    read, small = next(one for one in others if part_of(one[0]) != part_of(gone))
    for one in (small, content):
        client.post("/v1/enrollments", content=one, headers=ada)
    with reading_part(engine, part_of(read)):
        assert client.delete(f"/v1/enrollments/{gone}", headers=ada).status_code == 204
        assert not holds(engine, request, content)
        impatient(monkeypatch)
        assert client.delete(f"/v1/enrollments/{read}", headers=ada).status_code == 202
        assert holds(engine, request, small)
    wait_until(lambda: check(engine).pending == 0)
    assert not holds(engine, request, small)


def test_a_rejected_enrollment_is_erased_once(start: Start, world: World) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    judge = bearer(service, "judge", role="moderator")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    waits = client.post("/v1/enrollments", content=world.copy(0), headers=eve).json()
    path, verdict = f"/v1/quarantine/{waits['id']}", {"verdict": "reject"}
    assert client.post(path, json=verdict, headers=judge).status_code == 204
    assert client.post(path, json=verdict, headers=judge).status_code == 404
    # Its account may ask for what a moderator did already.
    assert client.delete(f"/v1/enrollments/{waits['id']}", headers=eve).status_code == 204


def test_an_id_is_one_of_the_accounts_own(start: Start, world: World) -> None:
    client, service = start()
    ada = bearer(service, "ada")
    unknown = open_enrollment(world.enrollments[0]).id
    for wrong in (unknown, "0" * 32, "x" * 32, "%00", "a" * 199):
        assert client.delete(f"/v1/enrollments/{wrong}", headers=ada).status_code == 404
    assert Store(service.store.engine).entry("\0") is None
