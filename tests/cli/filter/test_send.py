"""`filter send`: an enrollment file goes to a service, and a token never to a list of processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sfumato.errors import ConfigError, InputError, RequestError, ServiceError
from sfumato.filter.enrollment import open_enrollment
from tests.cli.filter.test_root import line, run
from tests.serve.live import LiveServer
from tests.serve.world import World


@pytest.fixture(scope="module")
def server(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("send")
    live = LiveServer(world, folder, f"sqlite:///{folder}/bank.db")
    live.start()
    yield live
    live.kill()


@pytest.fixture
def mine(world: World, tmp_path: Path) -> Path:
    path = tmp_path / "me.enrollment"
    path.write_bytes(world.enrollments[1])
    return path


def test_a_file_is_sent_with_a_token_from_a_file_or_a_variable(
    server: LiveServer, world: World, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text(server.token("ada") + "\n")
    sent = line("send", mine, "--service", server.url, "--token-file", token)
    assert sent["id"] == open_enrollment(world.enrollments[1]).id
    monkeypatch.setenv("SFUMATO_TOKEN", token.read_text())
    again = run("send", mine, "--service", server.url)
    assert sent["id"] in again.stdout
    assert "warning" not in again.output  # loopback needs no TLS


def test_what_is_wrong_is_said(
    server: LiveServer, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SFUMATO_TOKEN", raising=False)
    error = run("send", mine, "--service", server.url).exception
    assert isinstance(error, InputError)
    assert "SFUMATO_TOKEN" in str(error)
    monkeypatch.setenv("SFUMATO_TOKEN", "nobody's")
    assert isinstance(run("send", mine, "--service", server.url).exception, RequestError)
    assert isinstance(run("send", tmp_path / "no", "--service", server.url).exception, InputError)
    for address in ("filter.example", "ftp://filter.example", "https://"):
        assert isinstance(run("send", mine, "--service", address).exception, ConfigError)


def test_a_token_in_the_clear_is_warned_of(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFUMATO_TOKEN", "secret")
    result = run("send", mine, "--service", "http://0.0.0.0:9")
    assert isinstance(result.exception, ServiceError)
    assert "warning: http://0.0.0.0:9 is no https" in result.output
    assert "secret" not in result.output
