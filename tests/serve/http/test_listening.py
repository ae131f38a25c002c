"""A server that says it is ready heeds what comes next."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from sfumato.serve.http.listening import address_of, listening, run_app, warn_in_the_clear
from sfumato.serve.tls import Tls
from tests.waiting import PATIENCE


@pytest.fixture
def ignored() -> Iterator[None]:
    """SIGINT as a shell leaves it for what it starts in the background; no test waits for ever."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.alarm(int(PATIENCE))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGINT, before)


def test_a_signal_at_the_moment_of_the_announcement_stops_it(ignored: None) -> None:
    announced = []

    def stop() -> None:
        announced.append(True)
        os.kill(os.getpid(), signal.SIGINT)

    with listening("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        run_app(FastAPI(), sock, ready=stop)
    assert announced == [True]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    ("host", "tls", "warned"),
    [
        ("0.0.0.0", None, True),
        ("::", None, True),
        ("127.0.0.1", None, False),
        ("localhost", None, False),
        ("0.0.0.0", Tls(Path("chain.pem"), Path("key.pem")), False),
    ],
)
def test_a_service_that_others_reach_in_the_clear_says_so(
    capsys: pytest.CaptureFixture[str], host: str, tls: Tls | None, warned: bool
) -> None:
    with listening(host, 0) as sock:
        warn_in_the_clear(sock, tls)
    said = capsys.readouterr()
    assert (said.out, "without TLS: pictures and tokens" in said.err) == ("", warned)


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", r"\[::1\]")])
def test_the_address_that_is_announced_is_a_url(host: str, shown: str) -> None:
    with listening(host, 0) as sock:
        assert re.fullmatch(rf"http://{shown}:\d+", address_of(sock, None))
        assert address_of(sock, Tls(Path("chain.pem"), Path("key.pem"))).startswith("https://")
