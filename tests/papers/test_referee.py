"""What a referee asked: commands exist, figures are of the results of those very commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from papers import referee
from papers.seeds import results

ROOT = Path(__file__).parents[2]
ROWS = [row for part in referee.parts() for row in part["row"]]
_FIGURE = re.compile(r"\{([^{}:]+):[^{}]+\}")
_NUMBER = re.compile(r"\d[\d,.]* (?:%|dB)|\d+\.\d+")


def typed(row: dict[str, Any]) -> list[str]:
    """Return the shares, decimals and decibels of an answer that are read from no result."""
    return [n for n in _NUMBER.findall(_FIGURE.sub("", row["answer"])) if n not in row["given"]]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["asked"][:50])
def test_a_figure_is_of_the_command_that_is_said_to_show_it(row: dict[str, Any]) -> None:
    cited = {tuple(keys.split("/")[:2]) for keys in _FIGURE.findall(row["answer"])}
    commands = {results(paper, recipe)[0]["command"] for paper, recipe in cited}
    assert commands <= set(row["shown"])
    made = {line for line in row["shown"] if line.startswith("sfumato paper")}
    assert made <= commands, "a recipe without a figure of its result shows nothing"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["asked"][:50])
def test_every_command_is_there(row: dict[str, Any]) -> None:
    assert row["shown"]
    for line in row["shown"]:
        if line.startswith("sfumato "):  # options are checked with those of all pages
            words = shlex.split(line)
            recipe = words[words.index("--recipe") + 1]
            assert (ROOT / "papers" / words[2] / "recipes" / f"{recipe}.toml").is_file()
            continue
        python, files = line[:17], line[17:].split()
        assert python == "python -m pytest "
        assert [file for file in files if not (ROOT / file).is_file()] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["asked"][:50])
def test_no_measured_number_is_typed(row: dict[str, Any]) -> None:
    assert typed({"given": {}, **row}) == []
    assert all(row.get("given", {"": "why"}).values()), "a number that is given has a reason"
    assert row.get("open", "why"), "what is open has a reason"


def test_a_typed_number_is_found() -> None:
    answer = "It is {docl/mnist/accuracy:.1%} of 12.5 %, 3 % or 0.25, at 13.1 dB."
    row = {"answer": answer, "given": {"3 %": "a goal"}}
    assert typed(row) == ["12.5 %", "0.25", "13.1 dB"]
