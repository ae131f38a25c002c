"""The service in this process, on a database of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from sfumato.serve.app import create_app
from sfumato.serve.auth import add_account
from sfumato.serve.service import FilterService
from sfumato.serve.settings import ServeSettings
from tests.serve.world import HIDDEN, World

Start = Callable[..., tuple[TestClient, FilterService]]


@pytest.fixture
def start(world: World, tmp_path: Path) -> Iterator[Start]:
    """Start the app in this process on `tmp_path/bank.db`; may be called again to restart."""
    running: list[FilterService] = []

    def begin(**changes: object) -> tuple[TestClient, FilterService]:
        while running:
            running.pop().close()
        settings = ServeSettings(
            backbone=world.backbone_file,
            database=f"sqlite:///{tmp_path}/bank.db",
            **({"hidden": HIDDEN} | changes),
        )
        service = FilterService.open(settings)
        running.append(service)
        return TestClient(create_app(service), raise_server_exceptions=False), service

    yield begin
    while running:
        running.pop().close()


def bearer(service: FilterService, name: str, *, moderator: bool = False) -> dict[str, str]:
    """Create an account and return the header that is its token."""
    _, token = add_account(service.store.engine, name, moderator=moderator)
    return {"Authorization": f"Bearer {token}"}
