"""What every page is: one policy, one origin, usable by keyboard, on a phone and in the dark."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from sfumato.features.backbone import open_backbone
from sfumato.features.preprocess import Preprocess
from sfumato.serve.web.pages import runs_in_browser
from tests.serve.conftest import Start
from tests.serve.live import LiveServer
from tests.serve.web.conftest import SCREENS, Visitor, axe, token
from tests.serve.world import World

PAGES = ("/", "/enroll", "/moderate")
TOKEN = "not a token, and kept nowhere"


@pytest.fixture
def client(start: Start) -> TestClient:
    return start()[0]


@pytest.mark.parametrize("path", PAGES)
def test_the_policy_allows_no_inline_script_and_no_other_host(
    client: TestClient, path: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = dict(p.split(" ", 1) for p in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert all("unsafe" not in value and "http" not in value for value in policy.values())
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for inline in ("<style", "style=", " onclick", "javascript:"):
        assert inline not in answer.text
    assert answer.text.count("<script") == answer.text.count('<script type="module" src="/web/')


def test_the_worker_that_sees_pictures_may_send_nothing(client: TestClient) -> None:
    policy = client.get("/web/worker.js").headers["content-security-policy"]
    assert policy == "default-src 'none'; script-src 'self'"


@pytest.mark.parametrize("name", ["nothing.js", "..%2fpages.py", "%2e%2e/pages.py", "pages.py"])
def test_nothing_but_the_static_files_is_served(client: TestClient, name: str) -> None:
    answer = client.get(f"/web/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_unchanged_file_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/web/style.css")
    again = client.get("/web/style.css", headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_a_page_names_what_a_browser_can_compute(world: World) -> None:
    assert runs_in_browser(world.backbone)
    assert runs_in_browser(open_backbone("gradients:1x28x28"))
    other = Preprocess(size=(8, 8), channels=1, interpolation="bicubic")
    changed = open_backbone("raw:1x8x8")
    changed.preprocess = other
    assert not runs_in_browser(changed)
    unfitted = open_backbone("raw:1x8x8")
    unfitted.scaler = None
    assert not runs_in_browser(unfitted)


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("path", [*PAGES, "/docs"])
def test_it_fits_the_screen_and_axe_finds_nothing(visit: Visitor, screen: str, path: str) -> None:
    tab = visit(**SCREENS[screen]).open(path)
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert tab.evaluate(wide) == 0
    tab.evaluate(axe())
    found = tab.evaluate("axe.run()")
    assert len(found["passes"]) > 12
    assert [(v["id"], v["nodes"][0]["html"]) for v in found["violations"]] == []


def test_the_keyboard_reaches_the_content_the_token_and_the_picture(visit: Visitor) -> None:
    tab = visit().open("/")
    reached = []
    for _ in range(6):
        tab.keyboard.press("Tab")
        reached.append(
            tab.evaluate("document.activeElement.id || document.activeElement.className")
        )
    assert reached[0] == "skip"
    assert {"token", "picture"} <= set(reached)
    tab.focus(".skip")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#content:focus")  # a browser moves there when it draws next


KEPT = "localStorage.length + sessionStorage.length + document.cookie.length"


def test_a_token_that_nobody_has_is_kept_nowhere(visit: Visitor) -> None:
    page = visit()
    page.expect_line("status of 401 ")
    tab = page.open("/")
    tab.fill("#token", TOKEN)
    # The page itself has asked who is signed in, with GET, and may still wait for that answer.
    with page.tab.expect_response(
        lambda answer: answer.url.endswith("/v1/session") and answer.request.method != "GET"
    ) as answer:
        tab.keyboard.press("Tab")
    assert answer.value.status == 401
    tab.wait_for_selector("#who >> text=nobody has this token")
    assert tab.evaluate(KEPT) == 0
    assert (page.context.cookies(), tab.input_value("#token")) == ([], "")
    assert all("kept" not in request.url for request in page.asked)


def test_no_script_reads_the_token_and_signing_out_forgets_it(
    visit: Visitor, server: LiveServer
) -> None:
    page, mine = visit(), token(server, "nell")
    tab = page.open("/", mine)
    assert tab.evaluate(KEPT) == 0
    assert mine not in tab.content()
    assert tab.input_value("#token") == ""
    (cookie,) = page.context.cookies()
    assert (cookie["value"], cookie["httpOnly"], cookie["sameSite"]) == (mine, True, "Strict")
    tab.goto(f"{server.url}/enroll")  # the next page is signed in as well
    tab.wait_for_selector("#who >> text=nell, user")
    tab.click("#leave")
    tab.wait_for_selector("#who >> text=not signed in")
    assert page.context.cookies() == []


def test_the_routes_are_described_without_a_script(visit: Visitor) -> None:
    page = visit()
    tab = page.open("/docs")
    assert tab.locator("script").count() == 0
    assert "POST /v1/uploads" in tab.inner_text("main")
    assert tab.evaluate("getComputedStyle(document.querySelector('dl')).display") == "grid"
