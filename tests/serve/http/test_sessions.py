"""A browser's token: in a cookie that scripts and other origins cannot use."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.serve.conftest import Start, bearer
from tests.serve.world import World

PAGE = {"Sfumato-Page": "1"}


def secure(client: TestClient) -> TestClient:
    return TestClient(client.app, base_url="https://filter.example")


def test_the_cookie_is_out_of_reach(start: Start) -> None:
    client, service = start()
    ada = bearer(service, "ada")
    plain = client.put("/v1/session", headers=ada)
    assert plain.json()["account"]["name"] == "ada"
    kept = plain.headers["set-cookie"]
    assert kept.startswith("sfumato=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} == set(kept.split("; ")[1:])
    kept = secure(client).put("/v1/session", headers=ada).headers["set-cookie"]
    assert kept.startswith("__Host-sfumato=")
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Secure"} == set(kept.split("; ")[1:])
    port = TestClient(client.app, base_url="http://127.0.0.1:8080")
    assert port.put("/v1/session", headers=ada).headers["set-cookie"].startswith("sfumato-8080=")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_page_acts_with_it_and_another_origin_cannot(
    start: Start, world: World, scheme: str
) -> None:
    client, service = start()
    browser = TestClient(client.app, base_url=f"{scheme}://filter.example")
    browser.put("/v1/session", headers=bearer(service, "ada"))
    assert browser.get("/v1/account").status_code == 401
    forged = browser.post("/v1/enrollments", content=world.enrollments[0])
    assert forged.status_code == 401
    assert browser.get("/v1/account", headers=PAGE).json()["name"] == "ada"
    sent = browser.post("/v1/enrollments", content=world.enrollments[0], headers=PAGE)
    assert sent.status_code == 201
    for origin in ("https://evil.example", "null"):
        asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        asks["Access-Control-Request-Headers"] = "sfumato-page"
        answer = browser.options("/v1/enrollments", headers=asks)
        assert "access-control-allow-origin" not in answer.headers
    # A header of the request goes before the cookie.
    eve = bearer(service, "eve")
    assert browser.get("/v1/account", headers=eve | PAGE).json()["name"] == "eve"


def test_it_says_who_is_signed_in_and_forgets(start: Start) -> None:
    client, service = start()
    assert client.get("/v1/session", headers=PAGE).json() == {"account": None}
    assert client.put("/v1/session", headers={"Authorization": "Bearer x"}).status_code == 401
    client.put("/v1/session", headers=bearer(service, "ada"))
    assert client.get("/v1/session").json() == {"account": None}
    assert client.get("/v1/session", headers=PAGE).json()["account"]["name"] == "ada"
    assert client.delete("/v1/session").status_code == 204
    assert client.get("/v1/session", headers=PAGE).json() == {"account": None}
    assert "sfumato" not in client.cookies
