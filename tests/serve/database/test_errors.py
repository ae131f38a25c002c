"""Killed at any moment, out of space, out of time, or damaged: nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text

from sfumato.errors import BankError, RequestError, ServiceError, StorageError
from sfumato.filter.enrollment import open_enrollment
from sfumato.serve.backup import check
from sfumato.serve.clients.filter import FilterClient
from sfumato.serve.database.clock import Clock
from sfumato.serve.database.db import open_database
from sfumato.serve.http import connections as patience
from sfumato.serve.records.audit_log import verify
from sfumato.serve.records.auth import add_account, add_token
from sfumato.serve.records.erasures import erase
from sfumato.serve.records.tokens import Tokens
from sfumato.serve.service import FilterService
from sfumato.serve.settings import ServeSettings
from tests.serve.conftest import MOSTLY_POSTGRESQL, Start, bearer
from tests.serve.live import LiveServer
from tests.serve.postgres import Cluster
from tests.serve.world import HIDDEN, World
from tests.waiting import PATIENCE, wait_until


@pytest.fixture
def server(world: World, tmp_path: Path, database: str) -> Iterator[LiveServer]:
    live = LiveServer(world, tmp_path, database)
    yield live
    live.kill()


class Book:
    """What a client knows of its enrollments, however many answers it did not get."""

    def __init__(self, world: World, count: int = 60) -> None:
        files = [world.small(seed) for seed in range(count)]
        self.files = {open_enrollment(content).id: content for content in files}
        self.queue = list(self.files)
        self.acknowledged: set[str] = set()
        self.undecided: set[str] = set()  # sent, but the answer did not come
        self.answers = 0

    def compare(self, client: FilterClient) -> set[str]:
        """Check what the service lists, and take it for known."""
        listed = {entry.id for entry in client.enrollments()}
        assert self.acknowledged <= listed <= self.acknowledged | self.undecided
        self.acknowledged, self.undecided = listed, set()
        return listed

    def work(self, client: FilterClient, answered: Callable[[], object]) -> None:
        """Enroll and erase in turn until the service is gone; say whenever an answer came."""
        try:
            while True:
                name = self.queue[0]
                self.queue.append(self.queue.pop(0))
                self.undecided.add(name)
                if name in self.acknowledged:
                    self.acknowledged.discard(name)  # until the answer comes, it may be gone
                    client.erase(name)
                else:
                    assert client.send_enrollment(self.files[name]).id == name
                    self.acknowledged.add(name)
                self.undecided.discard(name)
                self.answers += 1
                answered()
        except ServiceError:
            return


def _bank_size(url: str) -> int:
    lines = httpx.get(f"{url}/metrics", timeout=PATIENCE).text.splitlines()
    return int(float(next(x for x in lines if x.startswith("sfumato_bank_size ")).split()[1]))


def killed_while_working(book: Book, client: FilterClient, kill: Callable[[], object]) -> None:
    # Dated from the seed and the answers alone: a slow machine has work under way as well.
    delay = random.Random(book.answers + len(book.acknowledged)).uniform(0.0, 0.2)
    killer, enough = threading.Timer(delay, kill), book.answers + ANSWERS

    def answered() -> None:
        if book.answers >= enough and killer.ident is None:
            killer.start()

    book.work(client, answered)
    killer.join()


KILLS = [pytest.param(3, id="few"), pytest.param(200, id="many", marks=pytest.mark.slow)]
ANSWERS = 10
"""Enrollments and erasures that are acknowledged before each kill: 2,000 before 200."""


@MOSTLY_POSTGRESQL
@pytest.mark.parametrize("kills", KILLS)
def test_a_killed_server_keeps_every_acknowledged_enrollment(
    server: LiveServer, world: World, kills: int
) -> None:
    book, token = Book(world), ""
    for _ in range(kills):
        url = server.start()
        token = token or server.token("ada")
        with FilterClient(url, token, timeout_seconds=PATIENCE) as ada:
            listed = book.compare(ada)
            assert ada.upload(world.png(0, 0)).decision in ("share", "block")
            assert len(listed) == _bank_size(url)
            killed_while_working(book, ada, server.kill)
    assert book.answers >= kills * ANSWERS
    with FilterClient(server.start(), token) as ada:
        listed = book.compare(ada)
        assert listed
        for name in listed:
            ada.erase(name)
        wait_until(lambda: all(one.done for one in ada.erasures()))
        server.kill()
    engine = open_database(server.db_url)
    found = check(engine)
    assert (found.enrollments, found.pending) == (0, 0)
    assert found.erased >= len(listed)
    engine.dispose()
    # PostgreSQL's files keep what was erased until they are purged; see test_backup.
    everything = b"".join(path.read_bytes() for path in server.folder.glob("bank.db*"))
    for name in listed:
        assert book.files[name][-200:-100] not in everything


@pytest.mark.slow
@pytest.mark.parametrize("kills", KILLS)
def test_a_killed_database_costs_requests_and_nothing_else(
    cluster: Cluster, world: World, tmp_path: Path, kills: int
) -> None:
    """The service is not restarted: it goes on when its database does."""
    url = cluster.new_database()
    server = LiveServer(world, tmp_path, url)
    server.start()
    book, token = Book(world), server.token("ada")
    with FilterClient(server.url, token, timeout_seconds=PATIENCE) as ada:
        for _ in range(kills):
            killed_while_working(book, ada, cluster.kill)
            # Who asked just before it was killed is remembered for a moment.
            wait_until(lambda: not _answers(ada.upload, world.png(0, 0)))
            assert httpx.get(f"{server.url}/livez", timeout=PATIENCE).status_code == 200
            cluster.start()
            wait_until(lambda: _answers(ada.enrollments))
            book.compare(ada)
            wait_until(lambda: len(book.acknowledged) == _bank_size(server.url))
    server.kill()
    engine = open_database(url)
    verify(engine)
    engine.dispose()
    cluster.drop(url)


def _answers(ask: Callable[..., object], *arguments: object) -> bool:
    """Whether there is an answer, and not that the database is down."""
    try:
        ask(*arguments)
    except RequestError as error:
        if error.status != 503:
            raise
        return False
    return True


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own, where this may be mounted."""
    disk = folder / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size={size} tmpfs {disk} 2>/dev/null") != 0:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        yield disk
    finally:
        os.system(f"umount -l {disk}")


def opened(world: World, database: str) -> FilterService:
    many = 1_000_000
    return FilterService.open(
        ServeSettings(
            backbone=world.backbone_file,
            database=database,
            hidden=HIDDEN,
            workers=0,
            quota=many,
            enrollments_per_minute=many,
        )
    )


def test_a_full_disk_refuses_and_forgets_nothing(world: World, tmp_path: Path) -> None:
    with small_disk(tmp_path, "1m") as disk:
        service = opened(world, f"sqlite:///{disk}/bank.db")
        ada, _ = add_account(service.store.engine, "ada")
        kept = [service.enroll(ada, world.enrollments[0]).id]
        seeds = iter(range(500))
        with pytest.raises(StorageError, match="free some space"):
            kept.extend(service.enroll(ada, world.small(seed)).id for seed in seeds)
        assert len(kept) == next(seeds) > 10
        assert [entry.id for entry in service.store.entries()] == kept
        assert len(service.state) == len(kept)
        assert service.decide(ada, world.png(0, 0)).decision == "share"
        service.close()
        os.system(f"mount -o remount,size=4m {disk}")
        service = opened(world, f"sqlite:///{disk}/bank.db")
        assert [entry.id for entry in service.store.entries()] == kept
        service.erase(ada, kept[0])
        assert service.enroll(ada, world.small(777)).status == "active"
        service.close()


def test_a_clock_set_back_brings_no_token_back(database: str) -> None:
    engine = open_database(database)
    add_account(engine, "ada")
    token = add_token(engine, "ada", days=1.0)
    now = Clock(engine).now().timestamp()
    later = Clock(engine, system=lambda: now + 2 * 86_400)
    with pytest.raises(RequestError, match="expired"):
        Tokens(engine, later).account(f"Bearer {token}")
    later.keep()
    back = Clock(engine, system=lambda: now - 86_400)
    with pytest.raises(RequestError, match="expired"):
        Tokens(engine, back).account(f"Bearer {token}")
    engine.dispose()


def test_a_damaged_enrollment_stops_the_start_and_is_named(
    start: Start, world: World, tmp_path: Path
) -> None:
    client, service = start()
    ada = bearer(service, "ada")
    made = client.post("/v1/enrollments", content=world.enrollments[0], headers=ada).json()
    content = bytearray(world.enrollments[0])
    content[-300] ^= 1
    with service.store.engine.begin() as connection:
        change = text("UPDATE contents SET content = :content WHERE enrollment = :id")
        connection.execute(change, {"content": bytes(content), "id": made["id"]})
    with pytest.raises(BankError, match=f"enrollment {made['id']} in the database is damaged"):
        start()


def test_an_enrollment_whose_file_is_not_there_is_damage(start: Start, world: World) -> None:
    client, service = start()
    made = client.post(
        "/v1/enrollments", content=world.enrollments[0], headers=bearer(service, "ada")
    ).json()
    with service.store.engine.begin() as connection:
        connection.execute(text("DELETE FROM contents"))
    for reads in (start, lambda: check(service.store.engine)):
        with pytest.raises(BankError, match=f"enrollment {made['id']} in the database is damaged"):
            reads()
    assert erase(service.store, made["id"], actor="ada")
    start()


def test_a_damaged_file_stops_the_start_and_is_named(world: World, tmp_path: Path) -> None:
    path = tmp_path / "bank.db"
    service = opened(world, f"sqlite:///{path}")
    ada, _ = add_account(service.store.engine, "ada")
    for seed in range(12):
        service.enroll(ada, world.small(seed))
    service.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    draw = random.Random(0)
    for place in draw.sample(range(0, len(whole) - 4096, 512), 12):
        torn = bytearray(whole)
        torn[place : place + 4096] = draw.randbytes(4096)
        path.write_bytes(torn)
        with pytest.raises(BankError, match=r"damaged|not a database|expected") as caught:
            opened(world, f"sqlite:///{path}").close()
        assert "\n" not in str(caught.value)


def test_a_slow_body_is_given_up(start: Start, world: World) -> None:
    client, service = start(body_seconds=0.2)
    ada = bearer(service, "ada")
    with serving(client.app) as port:
        with socket.create_connection(("127.0.0.1", port)) as slow:
            head = "POST /v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n"
            slow.sendall(f"{head}Authorization: {ada['Authorization']}\r\n\r\nonly".encode())
            slow.settimeout(PATIENCE)
            assert b"408" in slow.recv(1000).split(b"\r\n")[0]
        with socket.create_connection(("127.0.0.1", port)) as gone:
            gone.sendall(f"{head}Authorization: {ada['Authorization']}\r\n\r\nonly".encode())
        url = f"http://127.0.0.1:{port}/v1/uploads"

        def decided() -> bool:
            with suppress(httpx.TransportError):  # a busy machine is slow itself now and then
                answer = httpx.post(url, content=world.png(0, 0), headers=ada, timeout=PATIENCE)
                return answer.status_code == 200
            return False

        wait_until(decided)


def test_a_connection_that_asks_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HEADER_SECONDS", PATIENCE)
    app, asked, go = FastAPI(), threading.Event(), threading.Event()

    @app.get("/")
    def slowly() -> str:
        monkeypatch.setattr(patience, "HEADER_SECONDS", 0.3)  # of those that come now
        asked.set()
        go.wait(PATIENCE)  # longer than they may be silent
        return "ok"

    with serving(app) as port:
        answers: list[int] = []

        def ask() -> None:
            url = f"http://127.0.0.1:{port}/"
            answers.append(httpx.get(url, timeout=PATIENCE).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        assert asked.wait(PATIENCE)
        for beginning in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n"):
            with socket.create_connection(("127.0.0.1", port)) as silent:
                silent.sendall(beginning)
                silent.settimeout(PATIENCE)
                assert silent.recv(1000) == b""
        go.set()
        asking.join()
        assert answers == [200]


@contextmanager
def serving(app: object) -> Iterator[int]:
    """Serve an app from a thread, with the protocol of the service."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(16)
        protocol = partial(patience.PatientProtocol, places=patience.Places(16))
        config = uvicorn.Config(app, http=protocol, log_level="error")  # type: ignore[arg-type]
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()
