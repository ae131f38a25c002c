"""Every answer, whatever it is: nothing is guessed, kept, framed or run that need not be."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from sfumato.features.backbone import Backbone
from sfumato.serve.app import create_app
from sfumato.serve.features import FeatureService, FeatureSettings, create_feature_app
from sfumato.serve.http.guarding import SAFE
from tests.serve.conftest import Start, bearer
from tests.serve.world import World

ASKED = [
    ("GET", "/v1/policy", 200),
    ("GET", "/v1/account", 200),
    ("GET", "/v1/session", 200),
    ("GET", "/livez", 200),
    ("GET", "/metrics", 200),
    ("GET", "/openapi.json", 200),
    ("DELETE", "/v1/enrollments/x", 404),
    ("GET", "/nothing", 404),
    ("PUT", "/v1/uploads", 405),
    ("POST", "/v1/decisions/x/appeal", 422),
]


@pytest.mark.parametrize(("method", "path", "status"), ASKED)
def test_the_api_is_guarded(start: Start, method: str, path: str, status: int) -> None:
    client, service = start()
    answer = client.request(method, path, headers=bearer(service, "ada"))
    assert answer.status_code == status
    assert {name: answer.headers[name] for name in SAFE} == SAFE


def test_so_is_a_failure(start: Start, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client, service = start()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(service.state, "decide_each", broken)
    ada = bearer(service, "ada")
    answer = client.post("/v1/uploads", content=world.png(0, 0), headers=ada)
    assert answer.status_code == 500
    assert {name: answer.headers[name] for name in SAFE} == SAFE


@pytest.mark.parametrize("path", ["/", "/enroll", "/moderate", "/docs", "/web/style.css"])
def test_every_page_has_a_policy(start: Start, path: str) -> None:
    headers = start()[0].get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_the_backbone_alone_is_kept_by_caches(start: Start) -> None:
    assert start()[0].get("/v1/backbone").headers["cache-control"] == "public, no-cache"


def test_the_description_asks_no_other_host_for_anything(
    start: Start, world: World, request: pytest.FixtureRequest
) -> None:
    _, service = start()
    features = FeatureService(Backbone.load(world.backbone_file), FeatureSettings(workers=0))
    request.addfinalizer(features.close)
    for app in (create_app(service), create_feature_app(features)):
        client = TestClient(app)
        page = client.get("/docs")
        assert page.headers["content-type"].startswith("text/html")
        assert "<script" not in page.text
        assert "http" not in page.text.replace("http-equiv", "").replace("sfumato_http", "")
        policy = page.headers["content-security-policy"]
        assert "script-src" not in policy
        assert "sha256-" in policy
        for path, methods in client.get("/openapi.json").json()["paths"].items():
            assert all(f"<h2>{method.upper()} {path}</h2>" in page.text for method in methods)
        assert client.get("/redoc").status_code == 404
