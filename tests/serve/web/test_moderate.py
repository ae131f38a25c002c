"""The moderators' page: the curve, the forecast before saving, appeals and quarantine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from sfumato.serve.database.db import open_database
from sfumato.serve.records.auth import Role
from tests.serve.live import LiveServer
from tests.serve.web.conftest import SCREENS, Visitor, axe, token
from tests.serve.world import World
from tests.waiting import PATIENCE

NOBODY_NAMED: Mapping[str, str] = {}
ADA = {"Sfumato-Account": "ada-m"}


class Desk:
    """A server with zeros of Ada's enrolled, uploads by Eve, and an appeal for each ruling."""

    def __init__(self, server: LiveServer, world: World) -> None:
        self.server, self.world = server, world
        roles: dict[str, Role] = {"ada-m": "user", "eve-m": "user", "judge-m": "moderator"}
        self.tokens = {name: token(server, name, role) for name, role in roles.items()}
        self.send("ada-m", "/v1/enrollments", world.enrollments[0])
        self.blocked = [id_ for id_ in map(self.upload, range(30)) if id_]
        for id_, ruling in zip(self.blocked, ("confirm", "overturn", "confirm"), strict=False):
            self.appeal(id_)
            self.call("judge-m", "POST", f"/v1/appeals/{id_}", json={"ruling": ruling})

    def call(
        self,
        who: str,
        method: str,
        path: str,
        headers: Mapping[str, str] = NOBODY_NAMED,
        **content: Any,
    ) -> Any:
        known = {"Authorization": f"Bearer {self.tokens[who]}", **headers}
        url = self.server.url + path
        answer = httpx.request(method, url, headers=known, timeout=PATIENCE, **content)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def send(self, who: str, path: str, content: bytes) -> Any:
        return self.call(who, "POST", path, content=content)

    def upload(self, index: int) -> str | None:
        digit = 0 if index % 3 else 4
        answer = self.send("eve-m", "/v1/uploads", self.world.png(digit, index))
        return answer["id"] if answer["decision"] == "block" else None

    def appeal(self, id_: str, note: str = "") -> None:
        self.call("eve-m", "POST", f"/v1/decisions/{id_}/appeal", json={"note": note})


@pytest.fixture(scope="module")
def desk(server: LiveServer, world: World) -> Iterator[Desk]:
    made = Desk(server, world)
    yield made
    for own in made.call("ada-m", "GET", "/v1/enrollments"):
        made.call("ada-m", "DELETE", f"/v1/enrollments/{own['id']}")


def test_others_see_no_desk(visit: Visitor, desk: Desk) -> None:
    page = visit()
    tab = page.open("/moderate", desk.tokens["eve-m"])
    tab.wait_for_selector("#state >> text=not good for moderating")
    assert tab.is_hidden("#moderation")
    assert not any("curve" in request.url for request in page.asked)


def test_the_forecast_is_shown_before_the_threshold_is_saved(visit: Visitor, desk: Desk) -> None:
    tab = visit().open("/moderate", desk.tokens["judge-m"])
    tab.wait_for_selector("#forecast dd")
    assert tab.is_disabled("#save")
    assert "no upload would have been decided otherwise" in tab.inner_text("#forecast")
    for chart in ("#shares", "#tradeoff"):
        assert tab.locator(f"{chart} .line").count() == 1
    with tab.expect_response("**/v1/forecast?value=0*") as seen:
        tab.fill("#threshold", "0")
    found = seen.value.json()
    less = found["blocked_before"] - found["blocked_after"]
    assert less > 0
    tab.wait_for_selector(f"#forecast >> text={less} upload")
    assert desk.call("judge-m", "GET", "/v1/rules")["alpha"] == 2.0
    tab.click("#save")
    tab.wait_for_selector("#saved >> text=Saved: alpha 0.")
    assert desk.call("judge-m", "GET", "/v1/rules")["alpha"] == 0.0
    desk.call("judge-m", "PATCH", "/v1/rules", json={"alpha": 2.0})


def test_the_slider_moves_one_users_threshold(visit: Visitor, desk: Desk) -> None:
    tab = visit().open("/moderate", desk.tokens["judge-m"])
    tab.wait_for_selector("#forecast dd")
    tab.fill("#account", "ada-m")
    with tab.expect_response("**/v1/curve"):
        tab.click("#whose button")
    tab.wait_for_selector("#holds >> text=the bank's threshold, for ada-m")
    tab.focus("#slider")
    with tab.expect_response("**/v1/forecast?value=2.1"):
        tab.keyboard.press("ArrowRight")
    assert tab.input_value("#threshold") == "2.1"
    tab.wait_for_selector("#save:not([disabled])")
    tab.click("#save")
    tab.wait_for_selector("#holds >> text=alpha 2.1: ada-m's own threshold")
    curve = desk.call("judge-m", "GET", "/v1/curve", headers=ADA)
    assert (curve["threshold"], curve["own"]) == (2.1, True)
    desk.call("judge-m", "PATCH", "/v1/account-rules", json={"alpha": 2.0}, headers=ADA)


def test_what_is_saved_is_the_threshold_that_is_shown(visit: Visitor, desk: Desk) -> None:
    """A forecast that failed left one account's curve on the page, and the bank's was saved."""
    page = visit()
    page.expect_line("status of 503 ")
    tab = page.open("/moderate", desk.tokens["judge-m"])
    tab.wait_for_selector("#forecast dd")
    tab.route("**/v1/forecast*", lambda route: route.fulfill(status=503, json={"detail": "busy"}))
    tab.fill("#account", "ada-m")
    tab.click("#whose button")
    tab.wait_for_selector("#state >> text=busy")
    tab.unroute("**/v1/forecast*")
    assert "for ada-m" in tab.inner_text("#holds") or "ada-m's own" in tab.inner_text("#holds")
    tab.fill("#threshold", "2.3")
    tab.wait_for_selector("#save:not([disabled])")
    tab.click("#save")
    tab.wait_for_selector("#holds >> text=alpha 2.3: ada-m's own threshold")
    assert desk.call("judge-m", "GET", "/v1/rules")["alpha"] == 2.0
    desk.call("judge-m", "PATCH", "/v1/account-rules", json={"alpha": 2.0}, headers=ADA)


def test_a_ruling_that_was_taken_is_not_asked_for_again(visit: Visitor, desk: Desk) -> None:
    desk.appeal(desk.blocked[7])
    page = visit()
    page.expect_line("status of 503 ")
    tab = page.open("/moderate", desk.tokens["judge-m"])
    tab.wait_for_selector("#appeals li")
    tab.wait_for_selector("#forecast dd")
    tab.route("**/v1/curve", lambda route: route.fulfill(status=503, json={"detail": "busy"}))
    tab.locator("#appeals li", has_text=desk.blocked[7]).get_by_text("Confirm the block").click()
    tab.locator("#appeals li", has_text=desk.blocked[7]).wait_for(state="detached")
    tab.wait_for_selector("#state >> text=busy")


def test_appeals_are_ruled_on_and_notes_are_text(visit: Visitor, desk: Desk) -> None:
    first, second = desk.blocked[3:5]
    desk.appeal(first, "<img src=x onerror=alert(1)>")
    desk.appeal(second)
    tab = visit().open("/moderate", desk.tokens["judge-m"])
    tab.wait_for_selector("#appeals li")
    assert tab.locator("#appeals li").count() == 2
    assert "<img src=x" in tab.inner_text("#appeals")
    assert tab.locator("#appeals img").count() == 0
    before = desk.call("judge-m", "GET", "/v1/curve", headers=ADA)["rulings"]
    tab.locator("#appeals li", has_text=first).get_by_text("Overturn it").click()
    tab.locator("#appeals li", has_text=first).wait_for(state="detached")
    tab.locator("#appeals li").get_by_text("Confirm the block").click()
    tab.wait_for_selector("#no-appeals")
    assert desk.call("judge-m", "GET", "/v1/curve", headers=ADA)["rulings"] == before + 2
    assert desk.call("judge-m", "GET", f"/v1/decisions/{first}")["appeal"] == "overturned"
    assert desk.call("judge-m", "GET", f"/v1/decisions/{second}")["appeal"] == "confirmed"


def test_an_appeal_of_an_unknown_margin_hides_no_other(visit: Visitor, desk: Desk) -> None:
    """Earlier releases kept infinite margins, which JSON has no number for."""
    unknown, known = desk.blocked[5:7]
    engine = open_database(desk.server.db_url)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE decisions SET margin = NULL, score = NULL WHERE id = :id"),
            {"id": unknown},
        )
    engine.dispose()
    desk.appeal(unknown)
    desk.appeal(known)
    tab = visit().open("/moderate", desk.tokens["judge-m"])
    tab.wait_for_selector("#appeals li >> text=how near is not known")
    for id_ in (unknown, known):
        tab.locator("#appeals li", has_text=id_).get_by_text("Confirm the block").click()
        tab.locator("#appeals li", has_text=id_).wait_for(state="detached")


@pytest.mark.parametrize("verdict", ["Admit", "Reject and erase"])
def test_a_quarantined_enrollment_is_judged(visit: Visitor, desk: Desk, verdict: str) -> None:
    stolen = desk.send("eve-m", "/v1/enrollments", desk.world.copy(0))
    assert stolen["status"] == "review"
    tab = visit(**SCREENS["phone"]).open("/moderate", desk.tokens["judge-m"])
    tab.wait_for_selector("#quarantine li")
    assert "eve-m: it resembles an earlier enrollment" in tab.inner_text("#quarantine")
    tab.evaluate(axe())
    assert tab.evaluate("axe.run()")["violations"] == []
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert tab.evaluate(wide) == 0
    tab.get_by_text(verdict, exact=True).click()
    tab.wait_for_selector("#no-quarantine")
    left = desk.call("eve-m", "GET", "/v1/enrollments")
    assert [own["status"] for own in left] == (["active"] if verdict == "Admit" else [])
    if left:
        desk.call("eve-m", "DELETE", f"/v1/enrollments/{stolen['id']}")
