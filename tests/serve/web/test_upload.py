"""The upload page: a decision and why, nothing about whose it is, and the way to an appeal."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.serve.live import LiveServer
from tests.serve.web.conftest import Visitor, axe, token
from tests.serve.world import World
from tests.waiting import PATIENCE

_DROP = """(content) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const dragged = new DataTransfer();
  dragged.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
  const event = new DragEvent("drop", { dataTransfer: dragged, bubbles: true, cancelable: true });
  document.getElementById("drop").dispatchEvent(event);
}"""


@pytest.fixture(scope="module")
def tokens(server: LiveServer, world: World) -> Iterator[dict[str, str]]:
    """Ada enrolled zeros; Eve did not."""
    made = {name: token(server, name) for name in ("ada", "eve")}
    made["judge"] = token(server, "judge", "moderator")
    headers = {"Authorization": f"Bearer {made['ada']}"}
    content = world.enrollments[0]
    url = f"{server.url}/v1/enrollments"
    answer = httpx.post(url, content=content, headers=headers, timeout=PATIENCE)
    assert answer.json()["status"] == "active"
    yield made
    erased = httpx.delete(f"{url}/{answer.json()['id']}", headers=headers, timeout=PATIENCE)
    assert erased.is_success


def choose(tab: Any, content: bytes) -> None:
    tab.set_input_files(
        "#picture", {"name": "mine.png", "mimeType": "image/png", "buffer": content}
    )


def decide(tab: Any, content: bytes) -> str:
    choose(tab, content)
    with tab.expect_response("**/v1/uploads") as answered:
        tab.click("#send")
    answer = answered.value.json()
    # By what is its own: the decision about an earlier picture is shown until this one is.
    tab.locator("#decision").get_by_text(answer.get("id") or answer["detail"]).wait_for()
    text: str = tab.inner_text("#decision")
    return text


def test_a_stranger_is_told_the_decision_and_not_whose_it_is(
    visit: Visitor, tokens: dict[str, str], world: World
) -> None:
    tab = visit().open("/", tokens["eve"])
    said = decide(tab, world.png(0, 0))
    assert "It is blocked" in said
    assert "it matches pictures that somebody else protects" in said
    # As a word: a decision's id may have these letters in it.
    assert "ada" not in re.findall(r"\w+", said)
    assert "sigma" not in said.lower()
    assert "It may be shared" in decide(tab, world.png(4, 0))


def test_an_owner_may_share(visit: Visitor, tokens: dict[str, str], world: World) -> None:
    assert "It may be shared" in decide(visit().open("/", tokens["ada"]), world.png(0, 0))


def test_a_moderator_sees_the_rule_and_the_score(
    visit: Visitor, tokens: dict[str, str], world: World
) -> None:
    tab = visit().open("/", tokens["judge"])
    decide(tab, world.png(0, 0))
    tab.wait_for_selector("#decision >> text=Score against threshold")
    said = tab.inner_text("#decision")
    assert "claim of a class" in said
    assert "against 2.00 sigmas" in said
    assert "ada" in said
    assert "enforced" in said
    tab.evaluate(axe())
    assert tab.evaluate("axe.run()")["violations"] == []


def test_a_dropped_picture_is_shown_and_decided(
    visit: Visitor, tokens: dict[str, str], world: World
) -> None:
    tab = visit().open("/", tokens["eve"])
    assert tab.is_disabled("#send")
    tab.evaluate(_DROP, base64.b64encode(world.png(0, 3)).decode())
    assert tab.inner_text("#chosen") == "dropped.png"
    tab.wait_for_selector("#preview img")
    tab.evaluate("document.images[0].decode()")
    assert tab.evaluate("document.images[0].naturalWidth") == 8
    tab.click("#send")
    tab.wait_for_selector("#decision .verdict")


def test_a_blocked_upload_is_appealed_by_its_link_once(
    visit: Visitor, tokens: dict[str, str], world: World, server: LiveServer
) -> None:
    page = visit()
    page.expect_line("status of 409 ")
    tab = page.open("/", tokens["eve"])
    decide(tab, world.png(0, 1))
    tab.click("text=Ask a moderator to look again")
    tab.wait_for_url("**/#appeal-*")
    id_ = tab.url.rpartition("#appeal-")[2]
    field = tab.locator("#decision-id")
    sync_api = pytest.importorskip("playwright.sync_api")
    # The page fills it in when the address changes.
    sync_api.expect(field).to_have_value(id_, timeout=1000 * PATIENCE)
    assert id_
    tab.fill("#note", "<b>It is mine.</b>")
    tab.click("#appeal-form button")
    tab.wait_for_selector("#appealed >> text=A moderator will look at it.")
    headers = {"Authorization": f"Bearer {tokens['judge']}"}
    url = f"{server.url}/v1/appeals"
    waiting = httpx.get(url, headers=headers, timeout=PATIENCE).json()
    assert [(w["id"], w["note"]) for w in waiting] == [(id_, "<b>It is mine.</b>")]
    tab.click("#appeal-form button")
    tab.wait_for_selector("#appealed >> text=this appeal is open already")


def test_a_file_that_is_no_picture_is_answered_with_the_reason(
    visit: Visitor, tokens: dict[str, str]
) -> None:
    page = visit()
    page.expect_line("status of 422 ")
    assert "expected a picture" in decide(page.open("/", tokens["eve"]), b"<svg onload=alert(1)>")
