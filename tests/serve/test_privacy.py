"""No answer tells a stranger whose picture it was, or whether somebody is enrolled.

What a filter cannot hide is its purpose: that a picture was blocked says that somebody enrolled
pictures like it.
"""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from sfumato.filter.enrollment import open_enrollment
from sfumato.serve.service import FilterService
from tests.serve.conftest import Start, bearer
from tests.serve.world import World

OWNER = "ada.lovelace"
NETWORK_ONLY = ("/readyz", "/metrics")
"""Documented as not for strangers: the second counts enrollments."""


def told(answer: httpx.Response) -> tuple[int, str, dict[str, str]]:
    """Everything that an answer tells, without what is drawn anew for each (ids and times)."""
    text = re.sub(r"[0-9a-f]{32}|\d{4}-\d\d-\d\dT[0-9:.+]+", "*", answer.text)
    headers = {k: v for k, v in answer.headers.items() if k != "content-length"}
    return answer.status_code, text, headers


def enrolled(start: Start, world: World) -> tuple[TestClient, FilterService, str]:
    """A service where the owner is enrolled, and the id of the enrollment."""
    client, service = start()
    ada = bearer(service, OWNER)
    sent = client.post("/v1/enrollments", content=world.enrollments[0], headers=ada).json()
    assert sent["status"] == "active"
    return client, service, sent["id"]


def blocked(client: TestClient, world: World, headers: dict[str, str]) -> dict[str, Any]:
    """The answer to the first upload of the owner's kind that is blocked."""
    for index in range(120, 160):
        answer = client.post("/v1/uploads", content=world.png(0, index), headers=headers).json()
        if answer["decision"] == "block":
            return answer
    raise AssertionError("the class model blocks nothing")


def test_every_answer_to_a_stranger_is_free_of_the_owner(start: Start, world: World) -> None:
    """Every operation of the document, with ids of the owner's things where it takes one."""
    client, service, id_ = enrolled(start, world)
    eve = bearer(service, "eve")
    verdict = blocked(client, world, eve)
    assert set(verdict) == {"id", "decision", "reason"}
    asked = 0
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        for method in operations:
            filled = path.replace("{enrollment_id}", id_).replace("{decision_id}", verdict["id"])
            filled = filled.replace("{name}", "eve")
            for content in (world.png(0, 130), b"{}", world.enrollments[1]):
                answer = client.request(method, filled, headers=eve, content=content)
                assert answer.status_code < 500, (method, path)
                shown = answer.text.replace(filled, "").replace(f"'{id_}'", "")
                assert OWNER not in shown, (method, path)
                assert id_ not in shown, (method, path)
                asked += 1
    assert asked >= 3 * 24
    assert service.store.find(id_) is not None  # and nothing of it changed


def test_a_stranger_is_answered_alike_before_and_after_somebody_enrols(
    start: Start, world: World
) -> None:
    client, service = start()
    eve, ada = bearer(service, "eve"), bearer(service, OWNER)
    id_, own = (open_enrollment(c).id for c in (world.enrollments[0], world.small(3)))
    document = client.get("/openapi.json").json()["paths"]
    paths = [p for p in document if "get" in document[p] and "{" not in p and p not in NETWORK_ONLY]
    assert len(paths) >= 8

    def answers() -> list[tuple[int, str, dict[str, str]]]:
        asked = [client.get(path, headers=eve) for path in paths]
        asked.append(client.delete(f"/v1/enrollments/{id_}", headers=eve))
        asked.append(client.post(f"/v1/decisions/{id_}/appeal", json={"note": ""}, headers=eve))
        # A picture that nobody claims, and a newcomer that resembles nobody.
        asked.append(client.post("/v1/uploads", content=world.png(8, 0), headers=eve))
        asked.append(client.post("/v1/enrollments", content=world.small(3), headers=eve))
        assert [answer.status_code for answer in asked[-4:]] == [404, 404, 200, 201]
        assert client.delete(f"/v1/enrollments/{own}", headers=eve).status_code == 204
        return [told(answer) for answer in asked]

    answers()  # leaves an erasure of one's own, which later ones repeat
    before = answers()
    sent = client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    assert sent.json()["status"] == "active"
    assert answers() == before


@pytest.mark.parametrize("kind", ["enrollment", "decision"])
def test_what_is_anothers_and_what_is_nobodys_are_refused_alike(
    start: Start, world: World, kind: str
) -> None:
    client, service, id_ = enrolled(start, world)
    eve, bob = bearer(service, "eve"), bearer(service, "bob")

    def ask(wanted: str) -> httpx.Response:
        if kind == "enrollment":
            return client.delete(f"/v1/enrollments/{wanted}", headers=eve)
        return client.post(f"/v1/decisions/{wanted}/appeal", json={"note": ""}, headers=eve)

    theirs = id_ if kind == "enrollment" else blocked(client, world, bob)["id"]
    assert told(ask(theirs)) == told(ask("0" * 32))
    assert ask(theirs).status_code == 404


def test_a_platform_cannot_tell_who_has_an_account(start: Start, world: World) -> None:
    client, service, _ = enrolled(start, world)
    gate = bearer(service, "gate", role="uploader")

    def ask(owner: str, digit: int) -> tuple[int, str, dict[str, str]]:
        sent = client.post(
            "/v1/uploads", content=world.png(digit, 0), headers=gate, params={"account": owner}
        )
        return told(sent)

    # A picture that nobody claims: whose account is asked for must not show.
    assert ask(OWNER, 8) == ask("nobody", 8) == ask("../etc", 8)
