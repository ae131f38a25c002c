"""Several processes share one bank: what one acknowledges, all score; what it erases, none."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median

import pytest

from sfumato.errors import ServiceError
from sfumato.filter.enrollment import open_enrollment
from sfumato.serve.bank.memory import BankState
from sfumato.serve.clients.filter import FilterClient
from sfumato.serve.database.db import open_database
from sfumato.serve.local import add_files, remove
from sfumato.serve.records.auth import account_named, add_account
from sfumato.serve.records.erasures import erase
from sfumato.serve.records.rules import change_account, change_bank, disable_enrollment
from sfumato.serve.records.store import Store
from tests.serve.conftest import MOSTLY_POSTGRESQL, on_both_kinds
from tests.serve.live import LiveServer
from tests.serve.world import World
from tests.waiting import wait_until

database = on_both_kinds


@pytest.fixture
def servers(world: World, tmp_path: Path, database: str) -> Iterator[tuple[LiveServer, LiveServer]]:
    made = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        made.append(LiveServer(world, tmp_path / name, database))
        made[-1].start()
    yield made[0], made[1]
    for server in made:
        server.kill()


@MOSTLY_POSTGRESQL
def test_what_one_acknowledges_the_other_scores_and_what_it_erases_not(
    servers: tuple[LiveServer, LiveServer], world: World
) -> None:
    first, second = servers
    ada, eve = first.token("ada"), first.token("eve")
    picture = world.png(0, 0)
    with FilterClient(first.url, ada) as here, FilterClient(second.url, eve) as there:
        assert there.upload(picture).decision == "share"
        made = here.send_enrollment(world.enrollments[0])
        assert here.enrollments() == [made]
        wait_until(lambda: there.upload(picture).decision == "block")
        with FilterClient(second.url, ada) as same:
            assert same.enrollments() == [made]
            assert same.upload(picture).decision == "share"
            same.erase(made.id)
        assert there.upload(picture).decision == "share"
        assert here.enrollments() == []
        with FilterClient(first.url, eve) as stranger:
            wait_until(lambda: stranger.upload(picture).decision == "share")


@pytest.mark.slow
def test_an_erasure_reaches_the_other_server_within_a_second(
    servers: tuple[LiveServer, LiveServer], world: World
) -> None:
    first, second = servers
    ada, eve = first.token("ada"), first.token("eve")
    picture = world.png(0, 0)
    with FilterClient(first.url, ada) as here, FilterClient(second.url, eve) as there:
        seen = []
        for _ in range(20):
            made = here.send_enrollment(world.enrollments[0])
            wait_until(lambda: there.upload(picture).decision == "block")
            here.erase(made.id)
            acknowledged = time.monotonic()
            wait_until(lambda: there.upload(picture).decision == "share")
            seen.append(time.monotonic() - acknowledged)
        # A busy machine may be late now and then, but not each second time.
        assert median(seen) < 1.0


@pytest.mark.slow
@MOSTLY_POSTGRESQL
def test_newcomers_at_two_servers_do_not_pass_each_other_by(
    servers: tuple[LiveServer, LiveServer], world: World
) -> None:
    """A attacker's copy, sent to the other server at the same moment, is still found."""
    tokens = [servers[0].token(name) for name in ("ada", "eve")]
    statuses: dict[int, str] = {}

    def send(number: int, content: bytes) -> None:
        with FilterClient(servers[number].url, tokens[number]) as client:
            statuses[number] = client.send_enrollment(content).status

    threads = [
        threading.Thread(target=send, args=(number, content))
        for number, content in enumerate((world.enrollments[0], world.copy(0)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses.values()) == ["active", "review"]


@MOSTLY_POSTGRESQL
def test_a_killed_server_blocks_nobody_and_loses_nothing(
    servers: tuple[LiveServer, LiveServer], world: World
) -> None:
    first, second = servers
    token = first.token("ada")
    files = [world.small(seed) for seed in range(40)]
    acknowledged = []
    with FilterClient(first.url, token) as here:
        killer = threading.Timer(0.4, first.kill, args=(signal.SIGKILL,))
        killer.start()
        with suppress(ServiceError):
            acknowledged.extend(here.send_enrollment(content).id for content in files)
        killer.join()
    with FilterClient(second.url, token) as there:
        listed = [entry.id for entry in there.enrollments()]
        assert set(acknowledged) <= set(listed)
        assert len(listed) <= len(acknowledged) + 1
        fresh = there.send_enrollment(world.small(99))
        assert fresh.id in {entry.id for entry in there.enrollments()}


@MOSTLY_POSTGRESQL
def test_a_process_that_follows_has_what_one_that_starts_has(
    servers: tuple[LiveServer, LiveServer], world: World, tmp_path: Path
) -> None:
    """Changes by a command and by rules reach running servers."""
    first, _ = servers
    eve = first.token("eve")
    file = tmp_path / "me.enrollment"
    file.write_bytes(world.enrollments[0])
    picture = world.png(0, 0)
    name = open_enrollment(world.enrollments[0]).id
    with FilterClient(first.url, eve) as stranger:

        def decides(wanted: str) -> Callable[[], bool]:
            return lambda: stranger.upload(picture).decision == wanted

        add_files(first.db_url, [file], "ada")
        wait_until(decides("block"))
        engine = open_database(first.db_url)
        store = Store(engine)
        change_bank(store, actor="test", alpha=0.0)
        change_account(store, "ada", actor="test", alpha=15.0)
        wait_until(decides("block"))
        for off, on in (
            (lambda h: disable_enrollment(store, name, h, actor="test"),) * 2,
            (lambda h: change_account(store, "ada", actor="test", disable_hours=h),) * 2,
            (lambda h: change_bank(store, actor="test", disable_hours=h),) * 2,
        ):
            off(1.0)
            wait_until(decides("share"))
            on(0.0)
            wait_until(decides("block"))
        terms = store.terms()
        assert terms is not None
        state = BankState.load(store, terms)
        assert (len(state), state.rules.alpha) == (1, 0.0)
        assert state.rules.account_alpha == {account_named(engine, "ada").id: 15.0}
        engine.dispose()
        remove(first.db_url, name[:8])
        wait_until(decides("share"))


def test_loading_while_others_change_ends_in_the_same_bank(world: World, database: str) -> None:
    """Applying a change that the bank has already changes nothing."""
    from sfumato.serve.bank.follow import Follower
    from sfumato.serve.records.store import Stored, Terms

    engine = open_database(database)
    store = Store(engine)
    terms = Terms(backbone=world.backbone.fingerprint, dim=64, hidden=8)
    store.fix_terms(terms)
    account, _ = add_account(engine, "ada")
    contents = [world.small(seed) for seed in range(4)]
    names = [open_enrollment(content).id for content in contents]
    for name, content in zip(names, contents, strict=True):
        stored = Stored(id=name, account_id=account.id, content=content)
        store.insert(stored, status="active", reason="")
    erase(store, names[1], actor="ada")
    state = BankState.load(store, terms)
    follower = Follower(store, state, seen=0, also=lambda: None)
    follower.catch_up()
    assert sorted(state.accounts) == sorted([names[0], *names[2:]])
    erase(store, names[0], actor="ada")
    follower.catch_up()
    follower.catch_up()
    assert sorted(state.accounts) == sorted(names[2:])
    engine.dispose()
