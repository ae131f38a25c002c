"""The pages in headless Chromium, from a real server process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sfumato.serve.database.db import open_database
from sfumato.serve.records.auth import Role, add_account
from tests.browser import SCREENS, Tab
from tests.serve.live import LiveServer
from tests.serve.world import World


class Visit(Tab):
    """One browser tab on the service, with all that it said and sent."""

    def __init__(self, browser: Any, url: str, **settings: Any) -> None:
        super().__init__(browser, **settings)
        self.url = url
        self.expected: list[str] = []

    def open(self, path: str, token: str | None = None) -> Any:
        self.tab.goto(self.url + path)
        if token is not None:
            self.tab.fill("#token", token)
            self.tab.keyboard.press("Enter")
            # By selectors alone: the page's policy forbids the strings that a function would need.
            self.tab.wait_for_selector("#who >> text=/, (user|uploader|moderator)$/")
        return self.tab

    def sent(self) -> list[Any]:
        """Return every request that may have sent something, but signing in."""
        signing = f"{self.url}/v1/session"
        return [r for r in self.asked if r.method != "GET" and r.url != signing]

    def expect_line(self, words: str) -> None:
        """Let the browser write lines with these `words`: it does so whenever it likes."""
        self.expected.append(words)

    def close(self) -> None:
        """End it; whatever it did, no page says an error or asks another host for anything."""
        self.context.close()
        own = (f"{self.url}/", f"blob:{self.url}/")
        assert [r.url for r in self.asked if not r.url.startswith(own)] == []
        assert [line for line in self.said if not any(map(line.__contains__, self.expected))] == []


@pytest.fixture(scope="module")
def server(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("pages")
    live = LiveServer(world, folder, f"sqlite:///{folder}/bank.db")
    live.start()
    yield live
    live.kill()


Visitor = Callable[..., Visit]


@pytest.fixture
def visit(browser: Any, server: LiveServer) -> Iterator[Visitor]:
    """Open a tab; when the test is over, each one must have kept quiet and at home."""
    opened: list[Visit] = []

    def begin(**settings: Any) -> Visit:
        opened.append(Visit(browser, server.url, **(settings or SCREENS["light"])))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def token(server: LiveServer, name: str, role: Role = "user") -> str:
    """Create an account beside the running server, and return its token."""
    engine = open_database(server.db_url)
    made = add_account(engine, name, role=role)[1]
    engine.dispose()
    assert made is not None
    return made


def axe() -> str:
    """Return the script that finds faults of access, or skip."""
    path = Path(__file__).parents[3] / ".tools" / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        pytest.skip("no axe-core here: access is not checked (make axe)")
    return path.read_text()
