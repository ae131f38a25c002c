"""An account hears late whether an enrollment counts, and the same words whatever the cause."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sfumato.serve.records.answers import answer_of
from sfumato.serve.records.store import Entry
from tests.serve.conftest import Start, bearer
from tests.serve.world import World

CREATED = "2026-11-27T10:00:00.000000+00:00"


def entry(status: str, reason: str, number: int = 0) -> Entry:
    return Entry(id=f"{number:032x}", account="ada", status=status, reason=reason, created=CREATED)


def told(one: Entry, minutes: float, seed: str = "secret") -> tuple[str, str]:
    now = datetime.fromisoformat(CREATED) + timedelta(minutes=minutes)
    found = answer_of(one, seed=seed, minutes=30.0, now=now)
    return found.status, found.reason


@pytest.mark.parametrize("minutes", [0.0, 29.9, 60.1])
def test_the_cause_does_not_show_and_at_first_not_even_the_status(minutes: float) -> None:
    alike = {told(entry("quarantined", cause), minutes) for cause in ("alike", "broad", "flood")}
    assert len(alike) == 1
    counts = told(entry("active", ""), minutes)
    assert ({counts} == alike) == (minutes < 30)
    assert counts[0] == ("pending" if minutes < 30 else "active")


def test_when_it_shows_differs_and_follows_from_a_secret() -> None:
    def shown(seed: str) -> list[bool]:
        found = [told(entry("active", "", n), 45.0, seed)[0] for n in range(200)]
        return [status == "active" for status in found]

    assert shown("a") == shown("a") != shown("b")
    assert 70 < sum(shown("a")) < 130


def test_the_bank_and_moderators_do_not_wait(start: Start, world: World) -> None:
    client, service = start(answer_minutes=30.0)
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    judge = bearer(service, "judge", role="moderator")
    for who, content in ((ada, world.enrollments[0]), (eve, world.copy(0))):
        sent = client.post("/v1/enrollments", content=content, headers=who).json()
        assert sent["status"] == "pending"
        assert client.get("/v1/enrollments", headers=who).json() == [sent]
    upload = client.post("/v1/uploads", content=world.png(0, 0), headers=eve).json()
    assert upload["decision"] == "block"
    assert [w["account"] for w in client.get("/v1/quarantine", headers=judge).json()] == ["eve"]
    later = service.store.clock.now().timestamp() + 3601
    service.store.clock.system = lambda: later
    assert client.get("/v1/enrollments", headers=ada).json()[0]["status"] == "active"
    assert client.get("/v1/enrollments", headers=eve).json()[0]["status"] == "review"
