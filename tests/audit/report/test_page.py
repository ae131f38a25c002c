"""The report's page in headless Chromium: opens from disk, asks for nothing, excludes nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sfumato.attack.tools.sheet import write_sheet
from sfumato.audit.measure.cell import Cell
from sfumato.audit.report.sheets import FOLDER, Sheet
from sfumato.types import Details, RocCurve, Trained, Training
from tests.audit.findings import cell, copies, report
from tests.browser import SCREENS, Tab

ROOT = Path(__file__).parents[2]
AXE = ROOT / ".tools" / "node_modules" / "axe-core" / "axe.min.js"
_HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"
_TRAINING = Training(
    curves={"validated": (0.1, 0.5, 0.9), "loss": (3.0, 2.0, 1.0)}, best_epoch=2, stopped_early=True
)
_LEARNER = Trained(learner="probe", seed=0, training=_TRAINING)


def _detailed(made: Cell, details: Details) -> Cell:
    assert made.finding is not None
    return replace(made, finding=replace(made.finding, details=details))


def _cells() -> Iterator[Cell]:
    roc = RocCurve(far=(0.0, 0.1, 1.0), tar=(0.0, 0.7, 1.0))
    matched = Details(roc=roc, trained=(Trained(learner="cosine", seed=0),))
    for i, name in enumerate(("none", "blur:2", "sealed:raw", _HOSTILE)):
        share = 1 - i / 3
        yield _detailed(cell(name, "attributes:mood", share), Details(trained=(_LEARNER,)))
        yield _detailed(cell(name, "verify", share / 2), matched)
        if name == "sealed:raw":
            yield cell(name, "bitstatistics", share)
        else:
            yield cell(name, "bitstatistics", reason="there are no moved bits")
        yield cell(name, "reidentify:person", reason="nobody is known by name")
        yield cell(name, "membership", error=f"RuntimeError: {_HOSTILE}")
        yield copies(name, 3 if name == "blur:2" else 0)
        yield cell(name, _HOSTILE)
        yield cell(name, "utility:person", 0.9 - i / 5, role="utility")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    sheet = Sheet(protector="blur:2", file="release-blur-2.png", rows=("original", "released"))
    write_sheet(folder / FOLDER / sheet.file, [torch.rand(12, 1, 8, 8), torch.rand(12, 1, 8, 8)])
    made = report(*_cells())
    settings = replace(made.settings, quick=True, command="sfumato audit --protector blur:2")
    replace(made, settings=settings, pictures=(sheet,)).write(folder)
    return folder / "report.html"


class _Visit(Tab):
    """One opened page, with all that it said and asked for."""

    def __init__(self, browser: Any, page: Path, **settings: Any) -> None:
        super().__init__(browser, **settings)
        self.tab.goto(page.as_uri())

    def __enter__(self) -> _Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.mark.parametrize("screen", ["light", pytest.param("dark", marks=pytest.mark.slow), "phone"])
def test_it_opens_from_disk_without_a_fault_or_a_request(
    browser: Any, page: Path, screen: str
) -> None:
    with _Visit(browser, page, **SCREENS[screen]) as visit:
        assert visit.tab.title() == "Sfumato audit of blobs"
        assert [r.url for r in visit.asked if not r.url.startswith("data:")] == [page.as_uri()]
        assert visit.said == []
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert visit.tab.evaluate(wide) == 0
        charts = visit.tab.locator(".plotly-graph-div")
        assert charts.count() >= 6
        assert (
            charts.count() == visit.tab.locator(".plotly-graph-div .main-svg:first-child").count()
        )


@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing_serious(browser: Any, page: Path, screen: str) -> None:
    if not AXE.is_file():
        pytest.skip("no axe-core here: access is not checked (make axe)")
    with _Visit(browser, page, **SCREENS[screen]) as visit:
        visit.tab.evaluate(AXE.read_text())
        found = visit.tab.evaluate("axe.run()")
        assert len(found["passes"]) > 15
        faults = [(v["id"], v["nodes"][0]["html"]) for v in found["violations"]]
        assert faults == []


@pytest.mark.slow
def test_hovering_a_chart_says_its_figures(browser: Any, page: Path) -> None:
    with _Visit(browser, page, **SCREENS["light"]) as visit:
        mark = visit.tab.locator(".plotly-graph-div .point").first
        mark.hover(force=True)
        visit.tab.wait_for_selector(".hovertext")
        assert "useful" in visit.tab.locator(".hovertext").first.text_content()


@pytest.mark.slow
def test_the_keyboard_reaches_the_figures_and_every_attack(browser: Any, page: Path) -> None:
    with _Visit(browser, page, **SCREENS["light"]) as visit:
        visit.tab.keyboard.press("Tab")
        assert visit.tab.evaluate("document.activeElement.className") == "skip"
        visit.tab.keyboard.press("Enter")
        visit.tab.wait_for_url(re.compile("#matrix$"))  # told a moment after the key
        targets = visit.tab.evaluate(
            "[...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.getAttribute('href'))"
        )
        missing = [t for t in targets if visit.tab.locator(t).count() != 1]
        assert len(targets) > 8
        assert missing == []


@pytest.mark.slow
def test_on_paper_nothing_is_cut_off_and_everything_is_dark_on_white(
    browser: Any, page: Path
) -> None:
    with _Visit(browser, page, **SCREENS["dark"]) as visit:
        visit.tab.emulate_media(media="print", color_scheme="dark")
        visit.tab.set_viewport_size({"width": 688, "height": 1000})  # A4 without its margins
        visit.tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        over = visit.tab.evaluate(
            "[...document.querySelectorAll('table, .main-svg, pre')]"
            ".filter(e => e.getBoundingClientRect().right > 690).map(e => e.outerHTML.slice(0, 80))"
        )
        assert over == []
        assert visit.tab.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


def test_what_colours_say_is_also_written(page: Path) -> None:
    text = page.read_text()
    for share in ("100 %", "67 %", "33 %", "up to 5 %", "n/a", "failed", "not measurable"):
        assert share in text
    # Every cell with a leakage: two attacks and one use of all, one attack of one.
    assert text.count('class="bar"') == 4 * 4 + 1
    assert "A quick look, not evidence" in text
    assert "4 of 32 measurements failed" in text


@pytest.mark.slow
def test_an_attack_without_meaning_for_any_release_is_said_once_and_has_no_column(
    browser: Any, page: Path
) -> None:
    with _Visit(browser, page, **SCREENS["light"]) as visit:
        heads = visit.tab.locator(".matrix thead th").all_text_contents()
        assert "putting the bits back" in heads
        assert "naming the person" not in heads
        text = visit.tab.locator("main").inner_text()
        assert text.count("naming the person") == text.count("nobody is known by name") == 1
        assert "reidentify" not in text


@pytest.mark.slow
def test_six_columns_are_seen_without_scrolling(browser: Any, page: Path) -> None:
    with _Visit(browser, page, **SCREENS["light"]) as visit:
        width = "e => [e.scrollWidth, e.clientWidth]"
        wide, seen = visit.tab.locator("#matrix .scroll").evaluate(width)
        assert wide <= seen


def test_names_from_elsewhere_are_text(browser: Any, page: Path) -> None:
    assert _HOSTILE not in page.read_text()
    with _Visit(browser, page, **SCREENS["light"]) as visit:
        assert visit.tab.title() != "owned"
        assert visit.tab.locator("img[src=x]").count() == 0


def test_originals_are_said_before_everything_else(browser: Any, page: Path) -> None:
    with _Visit(browser, page, **SCREENS["light"]) as visit:
        first = visit.tab.locator("header p:not(.eyebrow)").first.text_content()
        assert first == "blur:2: 3 of 100 releases are originals."


def test_the_page_says_what_a_protector_costs_and_what_was_trained(tmp_path: Path) -> None:
    """Bytes up to ten thousand, then kilobytes; the quickest release; the audit's time in all."""
    ended = replace(_TRAINING, stopped_early=False)
    learners = (_LEARNER, Trained(learner="probe", seed=1, training=ended))
    made = [
        replace(
            _detailed(cell("small", "attributes:mood", 0.5), Details(trained=learners)),
            release_bytes=9_999.0, release_seconds=0.25, seconds=40.0,
        ),
        replace(cell("small", "verify", 0.25), release_seconds=0.125, seconds=60.0),
        replace(cell("large", "attributes:mood", -0.25, half=0.01), release_bytes=10_000.0),
        cell("large", "verify", 0.9),
        replace(cell("large", "utility:person", -0.5, half=0.01), role="utility"),
    ]  # fmt: skip
    report(*made).write(tmp_path)
    text = (tmp_path / "report.html").read_text()
    costs = text[text.index('id="cost-title"') :]
    for row in (
        'small</th><td class="number">9,999 bytes</td><td class="number">125.000 ms</td>'
        '<td class="number">100 s</td>',
        'large</th><td class="number">10 kB</td><td class="number">not measured</td>',
    ):
        assert row in costs
    assert "1 of 2 stopped gaining before the last epoch" in text
    assert "nothing to train" in text
    assert "below 0 %" in text
    # Of 50, 25, -25 and 90 % the first is nearest to the middle.
    assert "For example, small under" in text
    assert "= 50 % of what there is to learn" in text
