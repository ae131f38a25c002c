"""What a client is told of a fault: what to do, and nothing that is the operator's alone."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from sfumato.serve.database.url import place
from tests.serve.conftest import Start, bearer
from tests.serve.world import World


def test_nobody_hears_where_the_database_is(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """Any token, a wrong one too, was answered its machine, its name and its user."""
    client, service = start()
    with service.store.engine.begin() as connection:
        connection.execute(text("DROP TABLE tokens"))
    answer = client.get("/v1/account", headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["detail"] == "the database does not answer; try again"
    assert place(service.store.engine) in caplog.text


def test_damage_is_no_fault_of_who_asks(
    start: Start, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A sound enrollment was refused as malformed where an earlier one's file was not there."""
    client, service = start()
    ada = bearer(service, "ada")
    made = client.post("/v1/enrollments", content=world.enrollments[0], headers=ada).json()
    with service.store.engine.begin() as connection:
        connection.execute(text("DELETE FROM contents"))
    answer = client.post("/v1/enrollments", content=world.enrollments[1], headers=ada)
    assert answer.status_code == 503
    assert "the database is damaged" in answer.json()["detail"]
    assert made["id"] not in answer.text
    assert made["id"] in caplog.text
