"""Deciding never waits for changing: no account's changes hold anybody else up."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sfumato.filter.enrollment import Enrollment, open_enrollment
from sfumato.filter.rule.screening import Comparison
from sfumato.serve.database import db
from sfumato.serve.database.db import changing, open_database
from sfumato.serve.database.locks import change_lock
from sfumato.serve.database.tables import ChangeRow
from sfumato.serve.records.auth import add_account
from sfumato.serve.records.erasures import erase
from sfumato.serve.records.rules import change_bank
from sfumato.serve.records.store import Store, Terms
from sfumato.serve.service import FilterService
from tests.serve.conftest import MOSTLY_POSTGRESQL, Start, bearer, on_both_kinds
from tests.serve.live import LiveServer
from tests.serve.world import HIDDEN, World
from tests.waiting import PATIENCE, wait_until

database = on_both_kinds

AT_ONCE = 45
SOON = 30.0
"""Seconds for an answer that waits for nobody, on a busy machine; others wait for a minute."""


@pytest.fixture
def server(world: World, tmp_path: Path, database: str) -> Iterator[LiveServer]:
    live = LiveServer(world, tmp_path, database)
    live.start()
    yield live
    live.kill()


def others_are_answered(server: LiveServer, world: World, token: str) -> None:
    """Whoever changes nothing gets an answer, and soon."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=SOON) as client:
        for _ in range(3):
            assert client.get("/readyz").status_code == 200
            assert client.get("/v1/policy").status_code == 200
            answer = client.post("/v1/uploads", content=world.png(0, 0))
            assert answer.status_code == 200


def asked(url: str, method: str, token: str, content: bytes | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.request(method, url, headers=headers, content=content, timeout=PATIENCE)


@MOSTLY_POSTGRESQL
def test_erasures_of_what_is_not_there_hold_nobody_up(server: LiveServer, world: World) -> None:
    eve, ada = server.token("eve"), server.token("ada")
    url = f"{server.url}/v1/enrollments"
    engine = open_database(server.db_url)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        with change_lock(engine):
            sent = [pool.submit(asked, f"{url}/{n:032x}", "DELETE", eve) for n in range(AT_ONCE)]
            others_are_answered(server, world, ada)
            found = Counter(one.result(PATIENCE).status_code for one in sent)
        assert set(found) <= {404, 429}
        assert found[404]
    engine.dispose()


@MOSTLY_POSTGRESQL
def test_enrollments_that_wait_are_few_and_hold_nobody_up(server: LiveServer, world: World) -> None:
    """Of one account, and of many; an erasure waits for none of them."""
    tokens = [server.token(f"user{n}") for n in range(15)]
    ada = server.token("ada")
    url = f"{server.url}/v1/enrollments"
    own = asked(url, "POST", ada, world.enrollments[0]).json()["id"]
    files = iter(range(1000))
    engine = open_database(server.db_url)

    def send(token: str) -> Future[httpx.Response]:
        return pool.submit(asked, url, "POST", token, world.small(next(files)))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        with change_lock(engine):
            one = [send(tokens[0]) for _ in range(12)]
            wait_until(lambda: sum(a.done() for a in one) == 10)
            refused = [answer.result() for answer in one if answer.done()]
            assert {answer.status_code for answer in refused} == {429}
            many = [send(token) for token in tokens[1:] for _ in range(2)]
            wait_until(lambda: sum(a.done() for a in many) == 2 + len(many) - 18)
            full = [answer.result() for answer in many if answer.done()]
            assert {answer.status_code for answer in full} == {503}
            for answer in (*refused, *full):
                assert int(answer.headers["Retry-After"]) >= 1
            others_are_answered(server, world, ada)
            assert asked(f"{url}/{own}", "DELETE", ada).status_code in (202, 204)
            assert asked(url, "GET", ada).json() == []
        statuses = Counter(answer.result(PATIENCE).status_code for answer in (*one, *many))
    assert statuses == {201: 18, 429: 10, 503: 12}
    engine.dispose()


class Held:
    """Holds the screening of one newcomer, after its comparison with those that were there."""

    def __init__(self, service: FilterService, name: str, patch: pytest.MonkeyPatch) -> None:
        self.name, self.began, self.go = name, threading.Event(), threading.Event()
        self.screen = service.state.screen
        self.among: list[Collection[str] | None] = []
        patch.setattr(service.state, "screen", self)

    def __call__(
        self,
        name: str,
        enrollment: Enrollment,
        account_id: int,
        among: Collection[str] | None = None,
    ) -> Comparison:
        found = self.screen(name, enrollment, account_id, among)
        if name == self.name:
            self.among.append(among)
            self.began.set()
            assert self.go.wait(PATIENCE)
        return found


def test_a_newcomer_is_screened_while_others_change_the_bank(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The victim enrolls while the attacker's copy is being screened: it is still found."""
    _, service = start()
    engine = service.store.engine
    ada, eve = (add_account(engine, name)[0] for name in ("ada", "eve"))
    stolen = world.copy(0)
    held = Held(service, open_enrollment(stolen).id, monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(service.enroll, eve, stolen)
        assert held.began.wait(PATIENCE)
        mine = service.enroll(ada, world.enrollments[0])
        other = service.enroll(ada, world.small(1))
        assert service.decide(eve, world.png(0, 0)).decision == "block"
        assert service.erase(ada, other.id) is None
        held.go.set()
        assert waiting.result(PATIENCE).status == "quarantined"
    assert held.among == [None, {mine.id}]
    (entry,) = service.store.entries(status="quarantined")
    assert "resembles" in entry.reason


def test_a_newcomer_is_not_held_against_what_was_erased_meanwhile(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, service = start()
    engine = service.store.engine
    ada, eve = (add_account(engine, name)[0] for name in ("ada", "eve"))
    judge, _ = add_account(engine, "judge", role="moderator")
    mine = service.enroll(ada, world.enrollments[0])
    waits = service.enroll(eve, world.copy(0))
    assert waits.status == "quarantined"
    held = Held(service, waits.id, monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        admitting = pool.submit(service.moderate, judge, waits.id, admit=True)
        assert held.began.wait(PATIENCE)
        service.erase(ada, mine.id)
        held.go.set()
        admitting.result(PATIENCE)
    assert [entry.status for entry in service.store.entries()] == ["active"]
    assert service.store.contests() == []


def test_what_an_account_enrolls_meanwhile_is_counted(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claims add up, so it is screened from the beginning."""
    _, service = start()
    ada, _ = add_account(service.store.engine, "ada")
    first = world.small(1)
    held = Held(service, open_enrollment(first).id, monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(service.enroll, ada, first)
        assert held.began.wait(PATIENCE)
        service.enroll(ada, world.small(2))
        held.go.set()
        assert waiting.result(PATIENCE).status == "active"
    assert held.among == [None, None]


def test_a_bank_that_never_stands_still_asks_to_come_back(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, service = start()
    ada = bearer(service, "ada")
    ids = iter(range(1000))
    monkeypatch.setattr(service.changing, "held_ids", lambda _: frozenset({str(next(ids))}))
    answer = client.post("/v1/enrollments", content=world.small(1), headers=ada)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert service.store.entries() == []


def test_every_route_that_takes_a_token_counts_requests(start: Start, world: World) -> None:
    client, service = start(uploads_per_minute=1, enrollments_per_minute=1, requests_per_minute=1)
    tried = 0
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            if "401" not in operation["responses"]:
                continue
            tried += 1
            who = bearer(service, f"judge{tried}", role="moderator")
            filled = path.replace("{enrollment_id}", "0" * 32).replace("{decision_id}", "0" * 32)
            filled = filled.replace("{name}", "nobody")
            answers = [
                client.request(method, filled, headers=who, content=world.png(0, 0))
                for _ in range(2)
            ]
            assert [answer.status_code == 429 for answer in answers] == [False, True], path
            assert int(answers[1].headers["Retry-After"]) >= 1
            assert "429" in operation["responses"]
    assert tried >= 20


def hold_all(engine: Engine, held: ExitStack) -> None:
    """Take every connection of a pool; the service's own threads have some for a moment."""

    def took() -> bool:
        with suppress(PoolTimeout):
            held.enter_context(engine.connect())
            return True
        return False

    for _ in range(engine.pool.size()):  # type: ignore[attr-defined]
        wait_until(took)


def test_a_pool_without_a_free_connection_is_an_answer(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "_POOL_SECONDS", 0.05)
    client, service = start()
    ada = bearer(service, "ada")
    own = client.post("/v1/enrollments", content=world.small(1), headers=ada).json()["id"]
    service.tokens.known.clear()
    with ExitStack() as held:
        for engine in (service.store.engine, service.changing.engine):
            hold_all(engine, held)
        answers = [
            client.get("/readyz"),
            client.get("/v1/enrollments", headers=ada),
            client.post("/v1/uploads", content=world.png(0, 0), headers=ada),
            client.post("/v1/enrollments", content=world.small(2), headers=ada),
            client.delete(f"/v1/enrollments/{own}", headers=ada),
        ]
    assert [answer.status_code for answer in answers] == [503] * 5
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)
    assert client.delete(f"/v1/enrollments/{own}", headers=ada).status_code in (202, 204)


def test_the_lock_without_a_free_connection_is_an_error_of_ours(
    cluster: object, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sfumato.errors import ServiceError

    monkeypatch.setattr(db, "_POOL_SECONDS", 0.05)
    engine = open_database(database)
    if engine.dialect.name == "sqlite":
        engine.dispose()
        pytest.skip("its lock is a file's")
    with ExitStack() as held:
        hold_all(engine, held)
        with pytest.raises(ServiceError, match="too busy"), change_lock(engine):
            pass
    engine.dispose()


def test_changes_are_read_in_the_order_of_their_numbers(database: str) -> None:
    """A change that is numbered first and committed last would never be applied."""
    engine = open_database(database)
    store = Store(engine)
    store.fix_terms(Terms(backbone="ab" * 32, dim=64, hidden=HIDDEN))
    with ThreadPoolExecutor(1) as pool:
        with changing(engine) as session:
            session.add(ChangeRow(kind="add", enrollment="first"))
            session.flush()
            second = pool.submit(change_bank, store, actor="test", alpha=1.0)
            time.sleep(0.3)
            assert not second.done()
            assert store.changes(0) == []
        second.result(PATIENCE)
    assert [change.kind for change in store.changes(0)] == ["add", "rules"]
    engine.dispose()


def test_a_block_is_recorded_while_its_enrollment_is_erased(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL refused all uploads of a batch where one enrollment was gone when it wrote."""
    _, service = start()
    engine = service.store.engine
    ada, eve = (add_account(engine, name)[0] for name in ("ada", "eve"))
    mine = service.enroll(ada, world.enrollments[0])
    clock, tried = service.store.clock, threading.Event()
    text = clock.text
    with ThreadPoolExecutor(1) as pool:

        def erased_now() -> str:
            if not tried.is_set():
                tried.set()
                pool.submit(erase, service.changing, mine.id, actor="ada")
                time.sleep(0.3)
            return text()

        monkeypatch.setattr(clock, "text", erased_now)
        assert service.decide(eve, world.png(0, 0)).decision == "block"
        assert tried.is_set()
    assert service.store.entries() == []
