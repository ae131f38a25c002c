"""A server that says it is ready heeds what comes next."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from sfumato.serve.http.listening import listening, run_app


@pytest.fixture
def ignored() -> Iterator[None]:
    """SIGINT as a shell leaves it for what it starts in the background; no test waits for ever."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.alarm(60)
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
