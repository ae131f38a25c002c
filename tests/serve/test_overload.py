"""More requests than there are places are told when to come back, and none waits for ever."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import httpx
import uvicorn
from fastapi import FastAPI

from sfumato.serve.http.connections import PatientProtocol, Places
from tests.waiting import PATIENCE

PLACES = 4


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(64)
        protocol = partial(PatientProtocol, places=Places(PLACES))
        config = uvicorn.Config(app, http=protocol, log_level="error")  # type: ignore[arg-type]
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


def test_who_finds_no_place_is_told_when_to_come_back() -> None:
    app, go = FastAPI(), threading.Event()

    @app.get("/")
    def slow() -> str:
        go.wait(PATIENCE)
        return "ok"

    def ask(url: str) -> httpx.Response:
        answer = httpx.get(url, timeout=PATIENCE)
        if answer.status_code == 503:
            go.set()  # so the places were all taken
        return answer

    with serving(app) as url, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, [url] * 12))
        refused = [answer for answer in answers if answer.status_code == 503]
        assert {answer.status_code for answer in answers} == {200, 503}
        for answer in refused:
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.headers["Connection"] == "close"
            assert answer.json()["status"] == 503
        assert httpx.get(url, timeout=PATIENCE).status_code == 200
