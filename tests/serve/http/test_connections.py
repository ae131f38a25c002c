"""Idle and dripping connections cost nobody else anything, and one address has its share."""

from __future__ import annotations

import asyncio
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain, repeat
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Response

from sfumato.serve.http import connections, listening
from sfumato.serve.http.connections import PatientProtocol, Places
from tests.serve.conftest import Start, bearer
from tests.serve.test_tls import made
from tests.waiting import PATIENCE, wait_until

PLACES = 4
LARGE = 20 << 20
OTHER = "127.0.0.2"  # as good an address of this machine as the first, on Linux
needs_other = pytest.mark.skipif(sys.platform != "linux", reason="needs a second loopback address")


@pytest.fixture(autouse=True)
def patient_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a header come late, where a test says nothing else."""
    monkeypatch.setattr(connections, "HEADER_SECONDS", PATIENCE)


class Site:
    """A running app whose `/slow` answers when `go` is set."""

    def __init__(self, server: uvicorn.Server, port: int, go: threading.Event) -> None:
        self.server, self.port, self.go = server, port, go
        self.opened = ExitStack()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def idle(self, beginning: bytes = b"", *, source: str = "127.0.0.1") -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), PATIENCE, (source, 0))
        self.opened.enter_context(made)
        made.sendall(beginning)
        return made

    def held(self) -> int:
        """How many connections the service has now."""
        return len(self.server.server_state.connections)

    def ask(self, path: str = "/", *, source: str = "127.0.0.1") -> httpx.Response:
        transport = httpx.HTTPTransport(local_address=source)
        with httpx.Client(transport=transport, timeout=PATIENCE) as client:
            return client.get(self.url + path)


def quick_and_slow(go: threading.Event) -> FastAPI:
    app = FastAPI()

    @app.get("/slow")
    async def slow() -> str:
        while not go.is_set():
            await asyncio.sleep(0.01)
        return "ok"

    @app.get("/livez")
    @app.get("/")
    async def quick() -> str:
        return "ok"

    return app


@contextmanager
def site(places: Places, app: object = None, **settings: object) -> Iterator[Site]:
    go, ready = threading.Event(), threading.Event()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(128)
        config = uvicorn.Config(
            app or quick_and_slow(go),
            http=partial(PatientProtocol, places=places),  # type: ignore[arg-type]
            log_level="error",
            **settings,  # type: ignore[arg-type]
        )
        server = listening.AnnouncingServer(config, ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        assert ready.wait(PATIENCE)
        found = Site(server, sock.getsockname()[1], go)
        try:
            yield found
        finally:
            go.set()
            found.opened.close()
            server.should_exit = True
            thread.join(PATIENCE)


def closed(waiting: socket.socket) -> bool:
    """Whether the other side has closed it, or does within a second."""
    waiting.settimeout(1)
    try:
        return waiting.recv(1000) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize("beginning", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_seventy_idle_connections_take_no_place(beginning: bytes) -> None:
    """Before: uploads and `/livez` were answered 503 for 19 s."""
    with site(Places(PLACES)) as found:
        for _ in range(70):
            found.idle(beginning)
        for path in ("/", "/livez"):
            assert found.ask(path).status_code == 200


def test_drops_of_a_header_win_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.5)
    with site(Places(PLACES)) as found:
        drop_until_closed(found.idle(), b"GET / HTTP/1.1\r\n", b"X-Drop: 1\r\n")


def test_drops_after_an_answer_win_none_either(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()

    @app.get("/")
    async def quick() -> str:
        monkeypatch.setattr(connections, "HEADER_SECONDS", 0.5)  # from this answer on
        return "ok"

    with site(Places(PLACES), app) as found:
        slow = found.idle(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert slow.recv(1000).startswith(b"HTTP/1.1 200")
        drop_until_closed(slow, b"GET / HTTP/1.1\r\n", b"X-Drop: 1\r\n")


@pytest.mark.parametrize("requests", [1, 2])
def test_who_takes_no_answer_is_closed(monkeypatch: pytest.MonkeyPatch, requests: int) -> None:
    """Before: the second of two answers waited for room for ever, and kept its place."""
    places, came = Places(PLACES), threading.Event()

    def all_are_here() -> None:
        monkeypatch.setattr(connections, "HEADER_SECONDS", 0.5)  # from these answers on
        came.set()

    with site(places, large_and_small(PLACES, all_are_here)) as found:
        for _ in range(PLACES):
            found.idle(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * requests)
        assert came.wait(PATIENCE)
        wait_until(lambda: found.held() == 0)
        assert not places.answering
        assert found.ask().status_code == 200


def test_an_answer_may_be_taken_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    def hurry() -> None:
        monkeypatch.setattr(connections, "HEADER_SECONDS", 0.5)  # from this answer on

    def taken_in_time(found: Site) -> bool:
        """Take an answer within the time that it has; False where this machine was too slow."""
        monkeypatch.setattr(connections, "HEADER_SECONDS", PATIENCE)
        slow = found.idle(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        taken, pauses = 0, []
        try:
            for number in range(20):
                began = time.monotonic()
                time.sleep(0.2 if number < 10 else 0.0)
                taken += len(slow.recv(LARGE // 10, socket.MSG_WAITALL))
                pauses.append(time.monotonic() - began)
        except ConnectionError:
            pauses.append(time.monotonic() - began)
        in_time = max(pauses) < 2.0  # of the three seconds that an answer has
        assert not in_time or taken > LARGE
        return in_time

    with site(Places(PLACES), large_and_small(then=hurry)) as found:
        wait_until(lambda: taken_in_time(found))


def large_and_small(together: int = 1, then: Callable[[], None] = lambda: None) -> FastAPI:
    """An app that answers more than the system keeps of what nobody takes.

    It answers the first requests for that `together`, after a call of `then`.
    """
    app, here = FastAPI(), []

    @app.get("/large")
    async def large() -> Response:
        here.append(1)
        while len(here) < together:
            await asyncio.sleep(0.01)
        then()
        return Response(bytes(LARGE))

    @app.get("/")
    async def small() -> str:
        return "ok"

    return app


def drop_until_closed(slow: socket.socket, beginning: bytes, drop: bytes) -> None:
    """Send a beginning and drops until the other side has enough of them."""
    left = chain([beginning], repeat(drop))

    def closes() -> bool:
        try:
            slow.sendall(next(left))
        except ConnectionError:
            return True
        return False

    wait_until(closes, every=0.05)


@needs_other
def test_in_a_full_house_the_crowd_s_longest_idle_goes_first() -> None:
    places = Places(PLACES)
    with site(places) as found:
        few = found.idle(source=OTHER)
        crowd = []
        for _ in range(places.connections - 1):
            crowd.append(found.idle())
            time.sleep(0.002)  # so that they came one after the other
        assert found.ask(source=OTHER).status_code == 200
        wait_until(lambda: closed(crowd[0]))
        assert not closed(crowd[-1])
        assert not closed(few)


@needs_other
def test_one_address_has_its_share_of_the_places() -> None:
    places = Places(PLACES, of_one=2)
    with site(places) as found, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(found.ask, "/slow") for _ in range(2)]
        wait_until(lambda: places.answering["127.0.0.1"] == 2)
        refused = found.ask()
        assert refused.status_code == 503
        assert "from this address" in refused.json()["detail"]
        assert int(refused.headers["Retry-After"]) >= 1
        assert found.ask(source=OTHER).status_code == 200
        assert found.ask("/livez").status_code == 200
        found.go.set()
        assert [one.result(PATIENCE).status_code for one in asked] == [200, 200]
        wait_until(lambda: not places.answering)  # nobody is remembered who asks nothing


def test_a_service_without_a_free_place_says_that_it_lives() -> None:
    places = Places(PLACES)
    with site(places) as found, ThreadPoolExecutor(8) as pool:
        for _ in range(PLACES):
            pool.submit(found.ask, "/slow")
        wait_until(lambda: places.answering.total() == PLACES)
        assert found.ask("/livez").status_code == 200
        found.go.set()


def test_a_proxy_on_this_machine_has_all_places_and_others_half() -> None:
    places = Places(64)
    assert [places.of(a) for a in ("127.0.0.1", "::1", "")] == [64, 64, 64]
    assert [places.of(a) for a in ("192.0.2.1", "2001:db8::1")] == [32, 32]
    assert Places(64, of_one=3).of("127.0.0.1") == Places(64, of_one=3).of("192.0.2.1") == 3
    assert Places(1).of("192.0.2.1") == 1


def test_a_handshake_that_does_not_end_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "HEADER_SECONDS", 0.5)
    tls = made(tmp_path)
    with site(Places(PLACES), ssl_certfile=tls.certificate, ssl_keyfile=tls.key) as found:
        silent = found.idle()
        wait_until(lambda: closed(silent))


@pytest.mark.parametrize("path", ["/v1/uploads", f"/v1/decisions/{'0' * 32}/appeal"])
@pytest.mark.parametrize("known", [True, False])
def test_slow_bodies_leave_places_for_others(start: Start, path: str, known: bool) -> None:
    """Of an account they take a few, and of nobody none: 401 comes before the body."""
    client, service = start(concurrency=8, body_seconds=PATIENCE)
    eve, ada = bearer(service, "eve"), bearer(service, "ada")
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n"
    head += f"Content-Type: application/json\r\nAuthorization: {eve['Authorization']}"
    with site(Places(8), client.app) as found:
        head += "" if known else "x"
        slow = [found.idle(f"{head}\r\n\r\nonly".encode()) for _ in range(8)]
        answers: list[bytes] = []
        while len(answers) < (6 if known else 8):
            ready, _, _ = select.select(slow, [], [], PATIENCE)
            assert ready
            answers += [one.recv(1000) for one in ready]
            slow = [one for one in slow if one not in ready]
        assert {answer.split()[1] for answer in answers} == {b"429" if known else b"401"}
        answer = httpx.get(f"{found.url}/v1/enrollments", headers=ada, timeout=PATIENCE)
        assert answer.status_code == 200
