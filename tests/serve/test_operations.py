"""Rules at run time, roles, appeals, floods and limits, through the routes."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from sfumato.errors import InputError
from sfumato.filter.enrollment import open_enrollment
from sfumato.serve.records.auth import add_token
from sfumato.serve.records.rules import Rules, change_bank
from tests.serve.conftest import Start, bearer
from tests.serve.world import World

Headers = dict[str, str]


def upload(client: TestClient, world: World, who: Headers, index: int = 0) -> dict[str, str]:
    answer = client.post("/v1/uploads", content=world.png(0, index), headers=who)
    assert answer.status_code == 200
    body = answer.json()
    assert isinstance(body, dict)
    return body


def blocked(client: TestClient, world: World, who: Headers) -> int:
    return [upload(client, world, who, i)["decision"] for i in range(20)].count("block")


def test_the_banks_threshold_is_moved_at_run_time(start: Start, world: World) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    judge = bearer(service, "judge", role="moderator")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    counts = []
    for alpha in (0.0, 1.0, 3.0, 20.0):
        answer = client.patch("/v1/rules", json={"alpha": alpha}, headers=judge)
        assert answer.json()["alpha"] == alpha
        counts.append(blocked(client, world, eve))
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] == 20
    client, service = start()
    assert client.get("/v1/rules", headers=judge).json()["alpha"] == 20.0


def test_an_account_has_a_threshold_of_its_own(start: Start, world: World) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    judge = bearer(service, "judge", role="moderator")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    before = blocked(client, world, eve)

    def change(name: str) -> int:
        headers = judge | {"Sfumato-Account": name}
        return client.patch("/v1/account-rules", json={"alpha": 0}, headers=headers).status_code

    assert change("eve") == 204
    assert blocked(client, world, eve) == before
    assert change("ada") == 204
    assert blocked(client, world, eve) < before
    assert change("nobody") == change("a b") == 404
    assert change("") == change("a" * 65) == change("\0") == 422
    assert client.patch("/v1/account-rules", json={"alpha": 0}, headers=judge).status_code == 422


def test_a_timed_disabling_ends_by_itself(start: Start, world: World) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    judge = bearer(service, "judge", role="moderator")
    made = client.post("/v1/enrollments", content=world.enrollments[0], headers=ada).json()
    assert upload(client, world, eve)["decision"] == "block"
    path = f"/v1/enrollments/{made['id']}/disable"
    assert client.post(path, json={"hours": 2}, headers=judge).status_code == 204
    assert upload(client, world, eve)["decision"] == "share"
    later = service.store.clock
    start_time = later.now().timestamp()
    later.system = lambda: start_time + 3 * 3600
    assert upload(client, world, eve)["decision"] == "block"
    unknown = f"/v1/enrollments/{'0' * 32}/disable"
    assert client.post(unknown, json={"hours": 2}, headers=judge).status_code == 404


def test_a_part_of_the_uploaders_is_enforced_and_the_rest_observed(
    start: Start, world: World
) -> None:
    client, service = start()
    ada = bearer(service, "ada")
    judge = bearer(service, "judge", role="moderator")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    client.patch("/v1/rules", json={"enforced": 0.5}, headers=judge)
    rules, now = service.state.rules, service.store.clock.now()
    # The bank draws who is in the part: of twelve names all may be, or nobody.
    names = sorted((f"user{n}" for n in range(400)), key=lambda name: rules.enforces(name, now))
    people = {name: bearer(service, name) for name in names[:6] + names[-6:]}
    first = {name: upload(client, world, who)["decision"] for name, who in people.items()}
    again = {name: upload(client, world, who)["decision"] for name, who in people.items()}
    assert first == again
    assert list(first.values()) == ["share"] * 6 + ["block"] * 6
    reasons = {upload(client, world, who)["reason"] for who in people.values()}
    assert len(reasons) == 2
    text = client.get("/metrics").text
    number = list(first.values()).count("share")
    assert f'sfumato_uploads_total{{verdict="observed"}} {3.0 * number}' in text
    counts = client.get("/v1/counts", headers=judge).json()
    assert [(c["enforced"], c["observed"]) for c in counts] == [(3 * (12 - number), 3 * number)]


def test_the_share_is_the_share_asked_for() -> None:
    names = [f"user{n}" for n in range(4000)]
    from sfumato.serve.database.clock import datetime

    now = datetime(2026, 1, 1).astimezone()
    parts = {}
    for share in (0.0, 0.2, 0.7, 1.0):
        rules = Rules(enforced=share, seed="seed")
        parts[share] = {name for name in names if rules.enforces(name, now)}
        assert abs(len(parts[share]) / len(names) - share) < 0.03
    # Widening the roll-out releases nobody who was in it.
    assert parts[0.2] < parts[0.7]
    other = Rules(enforced=0.2, seed="another")
    assert {name for name in names if other.enforces(name, now)} != parts[0.2]


@pytest.mark.parametrize(
    "body",
    [
        {"alpha": -1},
        {"alpha": 21},
        {"alpha": "1"},
        {"alpha": True},
        {"enforced": 1.1},
        {"disable_hours": -1},
        {"enforce": 0},
        {"alpha": 2, "thresh": 3},
    ],
)
def test_rules_out_of_range_are_refused(start: Start, body: dict[str, object]) -> None:
    client, service = start()
    judge = bearer(service, "judge", role="moderator")
    before = client.get("/v1/rules", headers=judge).json()
    assert client.patch("/v1/rules", json=body, headers=judge).status_code == 422
    assert client.get("/v1/rules", headers=judge).json() == before
    for values in ({"alpha": float("nan")}, {"enforced": float("nan")}, {"disable_hours": 1e9}):
        with pytest.raises(InputError, match="expected"):
            change_bank(service.store, actor="test", **values)


def test_an_appeal_is_the_uploaders_and_is_ruled_on_once(start: Start, world: World) -> None:
    client, service = start()
    ada, eve, bob = (bearer(service, name) for name in ("ada", "eve", "bob"))
    judge = bearer(service, "judge", role="moderator")
    made = client.post("/v1/enrollments", content=world.enrollments[0], headers=ada).json()
    ids = [upload(client, world, eve, index)["id"] for index in range(3)]
    shared = upload(client, world, ada)["id"]
    path = f"/v1/decisions/{ids[0]}/appeal"
    for who in (ada, bob, judge):
        assert client.post(path, json={}, headers=who).status_code == 404
    assert client.post(f"/v1/decisions/{shared}/appeal", json={}, headers=ada).status_code == 404
    note = "that is a circle"
    assert client.post(path, json={"note": note}, headers=eve).status_code == 204
    assert client.post(path, json={"note": note}, headers=eve).status_code == 409
    client.post(f"/v1/decisions/{ids[1]}/appeal", json={}, headers=eve)
    assert client.get("/v1/appeals", headers=eve).status_code == 403
    waiting = client.get("/v1/appeals", headers=judge).json()
    assert [(a["id"], a["account"], a["enrollment"], a["note"]) for a in waiting] == [
        (ids[0], "eve", made["id"], note),
        (ids[1], "eve", made["id"], ""),
    ]
    for id_, ruling in zip(ids, ("overturn", "confirm"), strict=False):
        body = {"ruling": ruling}
        assert client.post(f"/v1/appeals/{id_}", json=body, headers=judge).status_code == 204
        assert client.post(f"/v1/appeals/{id_}", json=body, headers=judge).status_code == 404
    assert client.get("/v1/appeals", headers=judge).json() == []
    counts = {"enrollment": made["id"], "enforced": 3, "observed": 0}
    counts |= {"open": 0, "confirmed": 1, "overturned": 1}
    assert client.get("/v1/counts", headers=judge).json() == [counts]
    client.delete(f"/v1/enrollments/{made['id']}", headers=ada)
    assert client.get("/v1/counts", headers=judge).json() == [counts | {"enrollment": ""}]


def test_everything_that_changes_is_in_the_log_and_no_picture_is(
    start: Start, world: World
) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    judge = bearer(service, "judge", role="moderator")
    made = client.post("/v1/enrollments", content=world.enrollments[0], headers=ada).json()
    stolen = client.post("/v1/enrollments", content=world.copy(0), headers=eve).json()
    blocked_id = upload(client, world, eve)["id"]
    client.post(f"/v1/decisions/{blocked_id}/appeal", json={"note": "secret"}, headers=eve)
    client.post(f"/v1/appeals/{blocked_id}", json={"ruling": "confirm"}, headers=judge)
    client.patch("/v1/rules", json={"alpha": 1.5}, headers=judge)
    client.post(f"/v1/quarantine/{stolen['id']}", json={"verdict": "admit"}, headers=judge)
    client.delete(f"/v1/enrollments/{made['id']}", headers=ada)
    assert client.get("/v1/audit", headers=eve).status_code == 403
    log = client.get("/v1/audit", headers=judge).json()
    assert [(e["actor"], e["action"], e["subject"]) for e in log if "account" not in e["action"]][
        3:
    ] == [
        ("ada", "enroll: active", made["id"]),
        ("eve", "enroll: quarantined", stolen["id"]),
        ("eve", "appeal", blocked_id),
        ("judge", "confirm", blocked_id),
        ("judge", "change rules", "bank"),
        ("judge", "admit", stolen["id"]),
        ("ada", "erase", made["id"]),
    ]
    assert "secret" not in str(log)
    later = client.get(f"/v1/audit?after={log[2]['sequence']}&limit=2", headers=judge).json()
    assert later == log[3:5]


def test_a_platforms_uploader_asks_for_users_and_learns_nothing_of_them(
    start: Start, world: World
) -> None:
    client, service = start()
    ada, gate = bearer(service, "ada"), bearer(service, "gate", role="uploader")
    bearer(service, "bob")
    client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)

    def asks(owner: str, who: Headers = gate) -> dict[str, object]:
        answer = client.post(
            "/v1/uploads", content=world.png(0, 0), headers=who | {"Sfumato-Account": owner}
        )
        body = answer.json()
        body.pop("id", None)
        return {"status": answer.status_code} | body

    assert asks("ada")["decision"] == "share"
    assert asks("bob")["decision"] == "block"
    assert asks("bob") == asks("nobody") == asks("not a name!")
    assert asks("\0")["status"] == asks("")["status"] == 422
    assert upload(client, world, gate)["decision"] == "block"
    assert asks("ada", ada)["status"] == 403
    for method, path in (("POST", "/v1/enrollments"), ("GET", "/v1/enrollments")):
        assert client.request(method, path, content=b"x", headers=gate).status_code == 403


def test_a_token_does_only_what_it_is_good_for(start: Start, world: World) -> None:
    client, service = start()
    bearer(service, "ada")
    token = add_token(service.store.engine, "ada", scopes=["upload"])
    only = {"Authorization": f"Bearer {token}"}
    assert upload(client, world, only)["decision"] == "share"
    answer = client.post("/v1/enrollments", content=world.enrollments[0], headers=only)
    assert answer.status_code == 403
    assert "'enroll'" in answer.json()["detail"]


def test_a_flood_of_enrollments_waits_for_a_moderator(start: Start, world: World) -> None:
    client, service = start(flood=3)
    people = [bearer(service, f"user{n}") for n in range(5)]
    answers = [
        client.post("/v1/enrollments", content=world.small(seed), headers=who).json()
        for seed, who in enumerate(people)
    ]
    assert [a["status"] for a in answers] == ["active"] * 3 + ["review"] * 2
    judge = bearer(service, "judge", role="moderator")
    waiting = client.get("/v1/quarantine", headers=judge).json()
    assert {w["reason"] for w in waiting} == {"many enrollments arrived within the hour"}
    start_time = service.store.clock.now().timestamp()
    service.store.clock.system = lambda: start_time + 3700
    late = client.post("/v1/enrollments", content=world.small(9), headers=people[0]).json()
    assert late["status"] == "active"


def test_an_account_that_asks_too_often_is_told_when_to_come_back(
    start: Start, world: World
) -> None:
    client, service = start(uploads_per_minute=12, enrollments_per_minute=6)
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    gate = bearer(service, "gate", role="uploader")
    content = world.png(0, 0)
    answers = [client.post("/v1/uploads", content=content, headers=ada) for _ in range(4)]
    assert [a.status_code for a in answers[:2]] == [200, 200]
    assert answers[-1].status_code == 429
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
    assert client.post("/v1/uploads", content=content, headers=eve).status_code == 200
    for _ in range(6):
        assert client.post("/v1/uploads", content=content, headers=gate).status_code == 200
    first, second = (
        client.post("/v1/enrollments", content=world.small(seed), headers=eve) for seed in (1, 2)
    )
    assert (first.status_code, second.status_code) == (201, 429)
    assert len(service.store.entries()) == 1


def test_an_enrollment_that_lies_about_its_errors_waits_for_a_moderator(
    start: Start, world: World
) -> None:
    from dataclasses import replace

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from sfumato.filter.enrollment import seal_enrollment

    client, service = start()
    for number, seed in enumerate(range(6)):
        who = bearer(service, f"user{number}")
        client.post("/v1/enrollments", content=world.small(seed), headers=who)
    honest = open_enrollment(world.enrollments[0]).enrollment
    liar = seal_enrollment(replace(honest, sigma=64.0), Ed25519PrivateKey.generate())
    eve, ada = bearer(service, "eve"), bearer(service, "ada")
    judge = bearer(service, "judge", role="moderator")
    caught = client.post("/v1/enrollments", content=liar, headers=eve).json()
    assert caught["status"] == "review"
    assert "many others" in client.get("/v1/quarantine", headers=judge).json()[0]["reason"]
    # A large mean makes everybody else look like it, which was always found.
    wide = seal_enrollment(replace(honest, mu=20.0), Ed25519PrivateKey.generate())
    caught = client.post("/v1/enrollments", content=wide, headers=eve).json()
    assert caught["status"] == "review"
    fine = client.post("/v1/enrollments", content=world.enrollments[1], headers=ada).json()
    assert fine["status"] == "active"
