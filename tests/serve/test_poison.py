"""A file that ends the process which decodes it stops nobody; others are still decided."""

from __future__ import annotations

import os
import signal

import pytest
from prometheus_client import generate_latest

from sfumato.errors import ImageError
from sfumato.serve.pictures import pictureprocess
from sfumato.serve.pictures.processes import Processes
from sfumato.serve.records.auth import add_account
from sfumato.serve.service import FilterService
from tests.serve import poison
from tests.serve.conftest import Start, bearer
from tests.serve.world import World
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


def ended(service: FilterService) -> int:
    lines = generate_latest(service.metrics.registry).decode().splitlines()
    name = "sfumato_picture_processes_ended_total "
    return int(float(next(line.removeprefix(name) for line in lines if line.startswith(name))))


def test_a_picture_whose_process_is_killed_is_decided_all_the_same(
    start: Start, world: World
) -> None:
    client, service = start()
    ada = bearer(service, "ada")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    contents = [world.png(0, index) for index in range(120, 128)]
    eve, _ = add_account(service.store.engine, "eve")
    here = [service.decide(eve, content).decision for content in contents]
    service = start(workers=1)[1]
    looking = service.uploads.asking.looking
    assert isinstance(looking, Processes)
    process = looking.workers[0].process
    assert process is not None
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)  # so that it has a picture, and answers none
    sent = [service.ask(eve, content) for content in contents]
    wait_until(sent[0].running)
    os.kill(process.pid, signal.SIGKILL)
    assert [one.result(PATIENCE).decision for one in sent] == here
    assert "block" in here
    assert ended(service) <= 1  # none where it was killed before it had a picture
    service.check_ready()


def test_a_file_that_ends_every_process_is_refused_and_stops_nobody(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictureprocess, "main", poison.main)
    client, service = start(workers=1)
    looking = service.uploads.asking.looking
    assert isinstance(looking, Processes)
    ada, _ = add_account(service.store.engine, "ada")
    eve, _ = add_account(service.store.engine, "eve")
    small = looking.workers[0]
    sent = [service.ask(who, c) for who, c in [(eve, poison.MARK)] + [(ada, world.png(8, 0))] * 6]
    assert isinstance(sent[0].exception(PATIENCE), ImageError)
    assert "twice" in str(sent[0].exception())
    assert {one.result(PATIENCE).decision for one in sent[1:]} == {"share"}
    assert ended(service) == 2
    # From now on what eve sends, and this file from anybody, costs no small picture its process.
    assert small.process is not None
    survivor = small.process.pid
    for number, who in enumerate([eve, ada]):
        another = poison.MARK + bytes([number]) if who is eve else poison.MARK
        assert isinstance(service.ask(who, another).exception(PATIENCE), ImageError)
    assert service.decide(eve, world.png(8, 1)).decision == "share"
    assert small.process.pid == survivor
    assert client.get("/readyz").status_code == 200


def test_a_service_without_a_process_is_not_ready(start: Start) -> None:
    client, service = start(workers=1)
    looking = service.uploads.asking.looking
    assert isinstance(looking, Processes)
    assert client.get("/readyz").status_code == 200
    looking.workers[0].end()
    assert client.get("/readyz").status_code == 503
