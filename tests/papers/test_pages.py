"""A paper's page says first what to take away, in short paragraphs; a row has one figure."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "papers").glob("*/README.md"))
LONGEST = 3
"""Lines of a paragraph or of a point of a list."""


def paragraphs(text: str) -> list[str]:
    """Return paragraphs and points of lists, without tables, code, headings and pictures."""
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    prose = re.sub(r"^\s*\|.*$", "", prose, flags=re.M)
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", prose)
    return [block.strip() for block in blocks if block.strip()]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.parent.name)
def test_what_to_take_away_comes_first(path: Path) -> None:
    headings = re.findall(r"^## (.*)$", path.read_text(), re.M)
    assert headings[0] == "What to take away"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.parent.name)
def test_one_picture_says_what_it_shows_before_the_tables(path: Path) -> None:
    first = path.read_text().partition("\n|")[0]
    assert re.findall(r"^!\[(.+)\]\(figures/.+\.png\)\n\*\1\.\*$", first, re.M)


def test_each_result_shows_a_picture_of_its_own() -> None:
    """Names of results begin alike: `lfw-coin` is no picture of `lfw`."""
    shown = re.findall(
        r"^!\[(\w+), (.+)\]\(\.\./papers/\w+/figures/(.+)\.png\)$",
        (ROOT / "docs" / "results.md").read_text(),
        re.M,
    )
    assert shown
    for slug, result, picture in shown:
        names = {path.stem for path in (ROOT / "papers" / slug / "results").glob("*.json")}
        assert max((n for n in names if picture.startswith(f"{n}-")), key=len) == result


@pytest.mark.parametrize("slug", [path.parent.name for path in PAGES])
def test_a_row_of_the_results_says_by_itself_what_its_figure_is(slug: str) -> None:
    """Rows that leaned on the one above were read under another lambda, and on other features."""
    rows = tomllib.loads((ROOT / "papers" / slug / "headlines.toml").read_text())["row"]
    said = [(row["result"], row["figure"]) for row in rows]
    assert [one for one in said if one[1].startswith("the same")] == []
    assert [one for one in set(said) if said.count(one) > 1] == []
    read = [(row["result"], tuple(row["at"])) for row in rows]
    assert [one for one in set(read) if read.count(one) > 1] == []


@pytest.mark.parametrize("path", [*PAGES, ROOT / "README.md"], ids=lambda p: str(p.parent.name))
def test_paragraphs_are_short(path: Path) -> None:
    long = [p for p in paragraphs(path.read_text()) if len(p.splitlines()) > LONGEST]
    assert [p for p in long if not p.startswith("Sfumato protects")] == []


def test_a_long_paragraph_is_found() -> None:
    assert [len(p.splitlines()) for p in paragraphs("a\nb\nc\nd\n\n- e\n- f\n")] == [4, 1, 1]


def test_the_readme_has_one_figure_a_row() -> None:
    rows = tomllib.loads((ROOT / "papers" / "summary.toml").read_text())["row"]
    assert [row["what"] for row in rows if row["here"].count("{") != 1 or "{" in row["what"]] == []
