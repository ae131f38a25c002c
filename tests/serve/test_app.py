"""The service's routes: what they answer, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from sfumato.filter.enrollment import open_enrollment, seal_enrollment
from tests.serve.conftest import Start, bearer
from tests.serve.world import World


def test_strangers_are_blocked_and_owners_share(start: Start, world: World) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    answer = client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    assert answer.status_code == 201
    assert answer.json()["status"] == "active"
    decisions = {"ada": [], "eve": [], "other": []}
    for index in range(120, 150):
        for who, headers, digit in (("ada", ada, 0), ("eve", eve, 0), ("other", eve, 4)):
            image = world.png(digit, index)
            sent = client.post("/v1/uploads", content=image, headers=headers)
            assert sent.status_code == 200
            decisions[who].append(sent.json()["decision"])
    assert decisions["ada"].count("share") == 30
    assert decisions["eve"].count("block") >= 26
    assert decisions["other"].count("share") >= 26


def test_the_reason_names_nobody_and_each_decision_has_an_id(start: Start, world: World) -> None:
    client, service = start()
    ada, bob, eve = (bearer(service, name) for name in ("ada", "bob", "eve"))
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    client.post("/v1/enrollments", content=world.enrollments[1], headers=bob)
    answers = [
        client.post("/v1/uploads", content=world.png(digit, 0), headers=eve).json()
        for digit in (0, 1)
    ]
    assert {a["decision"] for a in answers} == {"block"}
    assert len({a["reason"] for a in answers}) == 1
    assert len({a["id"] for a in answers}) == 2
    assert all(set(a) == {"id", "decision", "reason"} for a in answers)


def test_an_account_sees_and_erases_only_its_own(start: Start, world: World) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    made = client.post("/v1/enrollments", content=world.enrollments[0], headers=ada).json()
    assert client.get("/v1/enrollments", headers=eve).json() == []
    assert client.get("/v1/enrollments", headers=ada).json() == [made]
    path = f"/v1/enrollments/{made['id']}"
    assert client.delete(path, headers=eve).status_code == 404
    upload = {"content": world.png(0, 0), "headers": eve}
    assert client.post("/v1/uploads", **upload).json()["decision"] == "block"
    assert client.delete(path, headers=ada).status_code == 204
    assert client.post("/v1/uploads", **upload).json()["decision"] == "share"
    assert client.delete(path, headers=ada).status_code == 204  # asked again


def test_sending_an_enrollment_twice_is_sending_it_once(start: Start, world: World) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    send = {"url": "/v1/enrollments", "content": world.enrollments[0]}
    first, second = (client.post(**send, headers=ada).json() for _ in range(2))
    assert first == second
    assert len(service.state) == 1
    assert client.post(**send, headers=eve).status_code == 409


def test_a_quota_bounds_an_account(start: Start, world: World) -> None:
    client, service = start(quota=2)
    ada = bearer(service, "ada")
    made = [
        client.post("/v1/enrollments", content=world.small(seed), headers=ada) for seed in range(3)
    ]
    assert [answer.status_code for answer in made] == [201, 201, 403]
    assert "at most 2" in made[2].json()["detail"]
    client.delete(f"/v1/enrollments/{made[0].json()['id']}", headers=ada)
    # Erasing one and trying another would be a search for what counts.
    again = {"url": "/v1/enrollments", "content": world.small(3), "headers": ada}
    assert client.post(**again).status_code == 403
    later = service.store.clock.now().timestamp() + 8 * 86_400
    service.store.clock.system = lambda: later
    assert client.post(**again).status_code == 201


def test_what_is_refused_or_rejected_counts_towards_the_quota(start: Start, world: World) -> None:
    client, service = start(quota=3)
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    judge = bearer(service, "judge", role="moderator")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    stolen = client.post("/v1/enrollments", content=world.copy(0), headers=eve).json()
    path = f"/v1/quarantine/{stolen['id']}"
    assert client.post(path, json={"verdict": "reject"}, headers=judge).status_code == 204
    made = open_enrollment(world.small(1)).enrollment
    for mu in (1e-7, 1e-6):  # so sure of itself that it does not find what it decodes itself
        sure = replace(made, mu=mu, sigma=1e-6)
        content = seal_enrollment(sure, Ed25519PrivateKey.generate())
        refused = client.post("/v1/enrollments", content=content, headers=eve)
        assert (refused.status_code, refused.json()["detail"][:8]) == (422, "expected")
    answer = client.post("/v1/enrollments", content=world.small(2), headers=eve)
    assert answer.status_code == 403
    assert [e.account for e in service.store.entries()] == ["ada"]


def test_a_restart_changes_no_decision(start: Start, world: World) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    for digit in world.enrollments:
        client.post("/v1/enrollments", content=world.enrollments[digit], headers=ada)
    images = [world.png(digit, index) for digit in range(10) for index in range(3)]

    def decisions(client) -> list[str]:
        sent = [
            client.post("/v1/uploads", content=i, headers=h) for i in images for h in (ada, eve)
        ]
        return [answer.json()["decision"] for answer in sent]

    before, listed = decisions(client), client.get("/v1/enrollments", headers=ada).json()
    client, service = start(hidden=None)
    assert len(service.state) == 3
    assert decisions(client) == before
    assert client.get("/v1/enrollments", headers=ada).json() == listed


def test_the_backbone_is_public_and_named_by_its_fingerprint(start: Start, world: World) -> None:
    client, _ = start()
    answer = client.get("/v1/backbone")
    tag = answer.headers["etag"]
    assert (
        tag.strip('"') == world.backbone.fingerprint == client.get("/v1/policy").json()["backbone"]
    )
    assert answer.content == world.backbone_file.read_bytes()
    assert client.get("/v1/backbone", headers={"If-None-Match": tag}).status_code == 304


def test_every_private_route_asks_for_a_token(start: Start, world: World) -> None:
    client, service = start()
    bearer(service, "ada")
    document = client.get("/openapi.json").json()
    private = 0
    for path, operations in document["paths"].items():
        for method in operations:
            if path in ("/v1/policy", "/v1/backbone", "/livez", "/readyz", "/metrics"):
                continue
            if path == "/v1/session" and method in ("get", "delete"):
                continue  # which say that nobody is signed in, and forget nobody
            private += 1
            for headers in ({}, {"Authorization": "Bearer wrong"}):
                answer = client.request(method, path, headers=headers, content=b"x")
                assert answer.status_code == 401, (method, path)
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["www-authenticate"] == "Bearer"
    assert private == 21


def test_only_a_moderator_moderates(start: Start, world: World) -> None:
    client, service = start()
    ada = bearer(service, "ada")
    assert client.get("/v1/quarantine", headers=ada).status_code == 403
    verdict = client.post("/v1/quarantine/x", json={"verdict": "admit"}, headers=ada)
    assert verdict.status_code == 403
    judge = bearer(service, "judge", role="moderator")
    assert client.get("/v1/quarantine", headers=judge).json() == []
    assert (
        client.post("/v1/quarantine/x", json={"verdict": "admit"}, headers=judge).status_code == 404
    )
    assert (
        client.post("/v1/quarantine/x", json={"verdict": "perhaps"}, headers=judge).status_code
        == 422
    )


def test_health_and_metrics(start: Start, world: World) -> None:
    client, service = start()
    ada = bearer(service, "ada")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    client.post("/v1/uploads", content=world.png(0, 0), headers=ada)
    assert client.get("/livez").text == client.get("/readyz").text == "ok"
    text = client.get("/metrics").text
    assert "sfumato_bank_size 1.0" in text
    assert 'sfumato_uploads_total{verdict="share"} 1.0' in text
    assert open_enrollment(world.enrollments[0]).id not in text


def test_a_stolen_copy_waits_for_a_moderator_and_then_overrides_nobody(
    start: Start, world: World
) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    judge = bearer(service, "judge", role="moderator")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    stolen = client.post("/v1/enrollments", content=world.copy(0), headers=eve).json()
    assert stolen["status"] == "review"
    assert len(service.state) == 1
    assert client.get("/v1/enrollments", headers=eve).json() == [stolen]
    waiting = client.get("/v1/quarantine", headers=judge).json()
    assert [(w["id"], w["account"]) for w in waiting] == [(stolen["id"], "eve")]

    def blocked(headers: dict[str, str]) -> int:
        sent = [
            client.post("/v1/uploads", content=world.png(0, index), headers=headers).json()
            for index in range(20)
        ]
        return [answer["decision"] for answer in sent].count("block")

    assert blocked(eve) >= 18
    path = f"/v1/quarantine/{stolen['id']}"
    assert client.post(path, json={"verdict": "admit"}, headers=judge).status_code == 204
    assert len(service.state) == 2
    assert client.post(path, json={"verdict": "admit"}, headers=judge).status_code == 404
    assert blocked(eve) >= 18
    client, service = start()
    assert len(service.state) == 2
    assert blocked(eve) >= 18


def test_a_rejected_enrollment_is_erased(start: Start, world: World) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    judge = bearer(service, "judge", role="moderator")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    stolen = client.post("/v1/enrollments", content=world.copy(0), headers=eve).json()
    path = f"/v1/quarantine/{stolen['id']}"
    assert client.post(path, json={"verdict": "reject"}, headers=judge).status_code == 204
    for _ in range(2):  # now, and after a restart
        assert client.get("/v1/enrollments", headers=eve).json() == []
        assert client.get("/v1/quarantine", headers=judge).json() == []
        assert service.store.find(stolen["id"]) is None
        assert [entry.account for entry in service.store.entries()] == ["ada"]
        with service.store.engine.connect() as connection:
            contents = connection.execute(text("SELECT content FROM contents")).scalars().all()
        assert list(map(bytes, contents)) == [world.enrollments[0]]
        assert (len(service.state), service.store.contests()) == (1, [])
        client, service = start()
    again = client.post("/v1/enrollments", content=world.copy(0), headers=eve)
    assert again.json()["status"] == "review"


def test_an_owners_own_similar_classes_are_not_held_against_them(
    start: Start, world: World
) -> None:
    client, service = start()
    ada = bearer(service, "ada")
    for content in (world.enrollments[0], world.copy(0)):
        answer = client.post("/v1/enrollments", content=content, headers=ada)
        assert answer.json()["status"] == "active"
    assert service.store.contests() == []
