"""One table of every headline figure, read from results and never typed.

`papers/<slug>/headlines.toml` names them: what a figure is, what the paper has, in which result
it is and where (`at`). `python -m papers.headlines` writes docs/results.md, the README's table and
the answers of `papers.referee`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from papers import referee
from papers.seeds import Figure, figure, results
from papers.summary import README, readme
from sfumato.files import write_bytes

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "results.md"
_SLUGS = ("docl", "shufflebits", "san", "anonymizer", "obfuscator")
_HEAD = """# Results

Every figure is read from a result under `papers/*/results/`, which also has intervals, settings,
seed, versions and data fingerprints. Intervals are 95 %. Where a row names further seeds, the
figure is the mean of all of them, and the range is theirs.
Written by `python -m papers.headlines`.
"""


def page() -> str:
    """Return the page in Markdown, a table a paper."""
    parts = [_HEAD]
    for slug in _SLUGS:
        path = ROOT / "papers" / slug / "headlines.toml"
        if path.is_file():
            found = tomllib.loads(path.read_text())
            parts += [f"\n## {slug}\n", *_table(slug, found["row"])]
            parts += _shipped(found.get("ships", []))
    return "\n".join(parts) + "\n"


def _shipped(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield how a user gets what was measured."""
    if rows:
        yield "\n| result | part of it | command that trains with the same settings |"
        yield "| --- | --- | --- |"
    for row in rows:
        yield f"| {row['result']} | {row['part']} | `{row['command']}` |"


def _table(slug: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "| figure | paper | here | command |"
    yield "| --- | --- | --- | --- |"
    for row in rows:
        kept = results(slug, row["result"])
        command = f"`{kept[0]['command']}`"
        if len(kept) > 1:
            command += f" and seeds {', '.join(str(one['seed']) for one in kept[1:])}"
        cells = row["figure"], row.get("paper", ""), _shown(figure(kept, row["at"]), row), command
        yield f"| {' | '.join(cells)} |"


def _shown(found: Figure, row: dict[str, Any]) -> str:
    """Return a figure in its unit: a share as percent, unless the row says otherwise."""
    unit = row.get("unit", "%")
    value = _number(found.value, unit)
    if found.interval is None:
        return f"{value} {unit}".strip()
    low, high = (_number(end, unit) for end in found.interval)
    return f"{value} ({low} to {high}) {unit}".strip()


def _number(value: float, unit: str) -> str:
    if unit == "%":
        return f"{100 * value:.1f}"
    return f"{value:.2f}" if unit else f"{value:.4f}"


if __name__ == "__main__":
    write_bytes(PAGE, page().encode())
    write_bytes(referee.PAGE, referee.page().encode())
    write_bytes(README, readme().encode())
