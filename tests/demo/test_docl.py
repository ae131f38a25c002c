"""The demo's claims hold with margins that a seed does not overturn, and its report is whole."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sfumato.demo.docl import STEPS, DoclDemo, docl_demo
from sfumato.demo.report import write_report


@pytest.fixture(scope="module")
def demo() -> DoclDemo:
    notes: list[str] = []
    result = docl_demo(seed=7, advance=notes.append)
    assert len(notes) == STEPS
    return result


def test_uploads_are_decided_as_they_should_be(demo: DoclDemo) -> None:
    own, others, stranger, person, thief = demo.scenarios
    assert demo.accuracy > 0.94
    assert own.right > 0.95
    assert others.right > 0.95
    assert stranger.right > 0.9
    assert person.right > 0.9
    assert thief.right > 0.85
    assert thief.count == 9 * own.count


def test_thieves_beat_the_papers_rule_and_not_the_default_one(demo: DoclDemo) -> None:
    def stolen_blocked(rule: str) -> float:
        matrix = demo.matrices[rule]
        cells = [matrix[k][v] for k in range(10) for v in range(10) if k != v]
        return sum(cells) / len(cells)

    assert stolen_blocked("paper") < 0.8
    assert stolen_blocked("contest") > stolen_blocked("paper") + 0.15


def test_a_wider_claim_blocks_more_and_shares_less(demo: DoclDemo) -> None:
    _, blocked, shared = zip(*demo.curve, strict=True)
    assert list(blocked) == sorted(blocked)
    assert list(shared) == sorted(shared, reverse=True)


def test_the_report_is_one_file_that_asks_nobody_for_anything(
    demo: DoclDemo, tmp_path: Path
) -> None:
    path = tmp_path / "deep" / "report.html"
    write_report(demo, path, seed=7, seconds=1.0)
    html = path.read_text()
    links: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            links.extend(v for k, v in attrs if k in {"src", "href"} and v)

    Links().feed(re.sub(r"<script.*?</script>", "", html, flags=re.S))
    assert links
    assert all(link.startswith("data:") for link in links)
    assert html.count("<li>") == len(demo.uploads) == 18
    assert html.count("(wrongly)") == sum(not u.right for u in demo.uploads)
    for scenario in demo.scenarios:
        assert f"{100 * scenario.right:.1f} %" in html
