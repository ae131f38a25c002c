"""The page "What a referee asked": its sentences are typed, its figures are read from results.

`papers/referee.toml` has a row a question: what was asked, the answer with figures as in
`summary.toml`, the commands that show it, and what is open. `python -m papers.headlines` writes it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from papers.summary import filled

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "referee.md"
ROWS = ROOT / "papers" / "referee.toml"
_HEAD = """# What a referee asked

Questions of readers who want the figures to fall, what the answer is, and the commands that show
it. What is open is said. Figures are read from results, as those of [the results
page](results.md) are; of several seeds they are the mean. Written by `python -m papers.headlines`.
"""


def parts() -> list[dict[str, Any]]:
    """Return the page's parts, each with its rows, as they are typed."""
    found: list[dict[str, Any]] = tomllib.loads(ROWS.read_text())["part"]
    return found


def page() -> str:
    """Return the page in Markdown."""
    return _HEAD + "".join("\n" + line + "\n" for part in parts() for line in _lines(part))


def _lines(part: dict[str, Any]) -> Iterator[str]:
    yield f"## {part['title']}"
    for row in part["row"]:
        yield f"**{row['asked']}** {filled(row['answer'])}"
        if "open" in row:
            yield f"Open: {row['open']}"
        yield "```\n" + "\n".join(row["shown"]) + "\n```"
