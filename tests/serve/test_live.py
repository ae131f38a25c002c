"""A real server and a real client over loopback."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from torch import Tensor

from sfumato.errors import ArtifactError, RequestError, ServiceError
from sfumato.serve.clients.filter import FilterClient
from tests.serve.live import LiveServer
from tests.serve.world import World
from tests.waiting import PATIENCE


@pytest.fixture
def server(world: World, tmp_path: Path, database: str) -> Iterator[LiveServer]:
    live = LiveServer(world, tmp_path, database)
    yield live
    live.kill()


@pytest.fixture(scope="module")
def shared(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("shared")
    live = LiveServer(world, folder, f"sqlite:///{folder}/bank.db", fast=False)
    live.start()
    yield live
    live.kill()


def pictures(world: World, digit: int) -> list[Tensor]:
    return list(world.images[digit][:100])


def test_a_device_enrolls_uploads_and_erases(shared: LiveServer, world: World) -> None:
    url = shared.url
    tokens = {name: shared.token(name) for name in ("ada", "eve")}
    with FilterClient(url, tokens["ada"]) as ada, FilterClient(url, tokens["eve"]) as eve:
        assert ada.backbone().fingerprint == world.backbone.fingerprint
        made = ada.enroll(pictures(world, 0), Ed25519PrivateKey.generate(), seed=1, preset="plain")
        assert made.status == "active"
        assert ada.enrollments() == [made]
        images = [world.png(0, index) for index in range(110, 130)]
        assert {ada.upload(image).decision for image in images} == {"share"}
        assert sum(eve.upload(image).decision == "block" for image in images) >= 15
        ada.erase(made.id)
        assert {eve.upload(image).decision for image in images} == {"share"}
        ada.erase(made.id)  # asked again, because the answer might have got lost
        with pytest.raises(RequestError, match="you have no enrollment") as caught:
            eve.erase(made.id)
        assert caught.value.status == 404
    with FilterClient(url, "wrong") as nobody, pytest.raises(RequestError, match="token"):
        nobody.enrollments()


def test_the_log_holds_no_token_no_picture_and_no_feature(shared: LiveServer, world: World) -> None:
    url, token = shared.url, shared.token("bob")
    with FilterClient(url, token) as ada:
        ada.send_enrollment(world.enrollments[0])
        decision = ada.upload(world.png(0, 0))
        with pytest.raises(RequestError):
            ada.upload(b"no picture, but private all the same")
        with pytest.raises(RequestError):
            ada.send_enrollment(world.enrollments[1][:-50])
    log = shared.log()
    assert decision.id in log
    assert token not in log
    assert "private" not in log
    assert "x89PNG" not in log
    assert len(log) < 20_000


def test_a_backbone_that_is_not_the_announced_one_is_refused(
    shared: LiveServer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FilterClient(shared.url, shared.token("cy")) as ada:
        send = ada.send

        def altered(*args: object) -> object:
            answer = send(*args)
            answer.headers["ETag"] = '"' + "0" * 64 + '"'
            return answer

        monkeypatch.setattr(ada, "send", altered)
        with pytest.raises(ArtifactError, match="nothing was enrolled"):
            ada.enroll(pictures(world, 0), Ed25519PrivateKey.generate(), seed=1)


def test_a_service_that_is_not_there(world: World) -> None:
    with FilterClient("http://127.0.0.1:9", "x") as client, pytest.raises(ServiceError) as caught:
        client.enrollments()
    assert "is the service running?" in str(caught.value)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_stopped_server_ends_quietly(server: LiveServer, number: signal.Signals) -> None:
    server.start()
    assert server.kill(number) in (0, -number, 128 + number)
    assert "Traceback" not in server.log()


def test_a_killed_service_leaves_no_process_behind(shared: LiveServer) -> None:
    assert shared.process is not None
    children = psutil.Process(shared.process.pid).children(recursive=True)
    assert children
    for one in children:
        one.suspend()  # as one that sits in a decoder
    shared.kill()
    for one in children:
        with suppress(psutil.NoSuchProcess):  # it ended with who started it
            one.resume()
    assert psutil.wait_procs(children, timeout=PATIENCE)[1] == []
