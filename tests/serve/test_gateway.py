"""A platform's gateway asks for people: what it sends is theirs, and no address names them."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.serve.conftest import Start, bearer
from tests.serve.live import LiveServer
from tests.serve.world import World
from tests.waiting import PATIENCE

Headers = dict[str, str]


def named(name: str) -> Headers:
    return {"Sfumato-Account": name}


class Platform:
    """Ada's zeros are enrolled, and a gateway sends one for somebody else."""

    def __init__(self, client: TestClient, gate: Headers, world: World) -> None:
        self.client, self.gate, self.world = client, gate, world

    def blocked(self, person: str) -> str:
        """The decision about a picture of Ada's that the gateway sent for this person."""
        headers = self.gate | named(person)
        answer = self.client.post("/v1/uploads", content=self.world.png(0, 0), headers=headers)
        assert answer.json()["decision"] == "block"
        return str(answer.json()["id"])

    def appeal(self, id_: str, who: Headers) -> int:
        path = f"/v1/decisions/{id_}/appeal"
        return self.client.post(path, json={"note": ""}, headers=who).status_code


def test_the_person_for_whom_it_was_sent_appeals_and_is_named(start: Start, world: World) -> None:
    client, service = start()
    ada, bob = bearer(service, "ada"), bearer(service, "bob")
    gate, other = (bearer(service, name, role="uploader") for name in ("gw", "gw2"))
    judge = bearer(service, "judge", role="moderator")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    platform = Platform(client, gate, world)

    first = platform.blocked("bob")
    assert platform.appeal(first, ada) == platform.appeal(first, gate) == 404
    assert platform.appeal(first, gate | named("ada")) == 404
    assert platform.appeal(first, other | named("bob")) == 404
    assert platform.appeal(first, ada | named("bob")) == 403  # a user names nobody
    assert platform.appeal(first, bob) == 204
    assert platform.appeal(first, bob) == platform.appeal(first, gate | named("bob")) == 409

    second = platform.blocked("bob")
    assert platform.appeal(second, gate | named("bob")) == 204
    third = platform.blocked("no-account")
    assert platform.appeal(third, gate) == 404
    assert platform.appeal(third, gate | named("no-account")) == 204

    waiting = client.get("/v1/appeals", headers=judge).json()
    assert [(w["id"], w["account"]) for w in waiting] == [
        (first, "bob"),
        (second, "bob"),
        (third, "no-account"),
    ]


def test_what_a_gateway_sends_for_nobody_is_its_own(start: Start, world: World) -> None:
    client, service = start()
    ada, gate = bearer(service, "ada"), bearer(service, "gw", role="uploader")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    answer = client.post("/v1/uploads", content=world.png(0, 0), headers=gate).json()
    assert Platform(client, gate, world).appeal(answer["id"], gate) == 204


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/uploads?account=bob"),
        ("GET", "/v1/curve?account=bob"),
        ("GET", "/v1/forecast?value=1&account=bob"),
        ("GET", "/v1/account?token=abc"),
    ],
)
def test_a_name_in_an_address_is_refused_and_not_ignored(
    start: Start, world: World, method: str, path: str
) -> None:
    client, service = start()
    judge = bearer(service, "judge", role="moderator")
    answer = client.request(method, path, content=world.png(0, 0), headers=judge)
    assert answer.status_code == 422
    assert "header Sfumato-Account" in answer.json()["detail"]


def test_no_log_keeps_what_follows_a_question_mark(world: World, tmp_path: Path) -> None:
    folder = tmp_path
    server = LiveServer(world, folder, f"sqlite:///{folder}/bank.db")
    url = server.start()
    try:
        headers = {"Authorization": f"Bearer {server.token('ada')}"} | named("mallory-in-a-header")
        with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE) as client:
            client.post("/v1/uploads?account=bob-in-a-query", content=b"x")
            client.get("/v1/audit?after=17")
    finally:
        server.kill()
    log = server.log()
    assert "POST /v1/uploads HTTP" in log
    assert "GET /v1/audit HTTP" in log
    assert "bob-in-a-query" not in log
    assert "mallory" not in log
