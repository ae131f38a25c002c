from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import plotly.graph_objects as go
import pytest
import torch

from sfumato.data.decoding.decode import encode_png
from sfumato.demo.report import write_report
from sfumato.demo.section import Figure, Picture, Plot, Section
from sfumato.demo.sections import run_sections
from sfumato.errors import ConfigError


def _section() -> Section:
    picture = encode_png(torch.zeros(1, 8, 8, dtype=torch.uint8))
    return Section(
        slug="docl",
        title="A <title>",
        sentence="What happened.",
        figures=(
            Figure(label="kept", value=0.987, wanted="high"),
            Figure(label="read", value=0.12, wanted="low", chance=0.1),
        ),
        pictures=(Picture(caption="A picture & its words", png=picture),),
        plots=(Plot(caption="A line", figure=go.Figure(go.Scatter(y=[1, 2]))),),
    )


def test_the_report_is_one_file_that_asks_nobody_for_anything(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.html"
    write_report([_section()], path, command="sfumato demo --only docl", seconds=1.0)
    html = re.sub(r"<script.*?</script>", "", path.read_text(), flags=re.S)
    links: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            links.extend(v for k, v in attrs if k in {"src", "href"} and v)

    Links().feed(html)
    assert links
    assert all(link.startswith(("data:", "#")) for link in links)
    assert "A &lt;title&gt;" in html
    assert "98.7 %" in html
    assert "12.0 % (chance 10.0 %)" in html
    assert 'alt="A picture &amp; its words"' in html


def test_an_unknown_part_is_named() -> None:
    with pytest.raises(ConfigError, match="`only` docs is none of: photographs, docl, shufflebits"):
        run_sections(["docs"], seed=0)


@pytest.mark.slow
def test_parts_in_processes_of_their_own_come_in_order() -> None:
    found = run_sections(["docl", "shufflebits", "docl"], seed=0)
    assert [section.slug for section in found] == ["docl", "shufflebits"]
