"""One table of every headline figure, read from results and never typed.

`papers/<slug>/headlines.toml` names them: what a figure is, what the paper has, in which result
it is and where (`at`). `python -m papers.headlines` writes docs/results.md, the README's table and
the answers of `papers.referee`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from itertools import groupby
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
    """Return the page in Markdown: of each paper a block a command."""
    parts = [_HEAD]
    for slug in _SLUGS:
        path = ROOT / "papers" / slug / "headlines.toml"
        if path.is_file():
            found = tomllib.loads(path.read_text())
            parts += [f"\n## {slug}", *_blocks(slug, found["row"])]
            parts += _shipped(found.get("ships", []))
    return "\n".join(parts) + "\n"


def _shipped(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield how a user gets what was measured."""
    if rows:
        yield "\n| result | part of it | command that trains with the same settings |"
        yield "| --- | --- | --- |"
    for row in rows:
        yield f"| {row['result']} | {row['part']} | `{row['command']}` |"


def _blocks(slug: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a block a command: its first figure, the command, and a table of its rows."""
    for result, some in groupby(rows, key=lambda row: str(row["result"])):
        kept = results(slug, result)
        seeds = ", ".join(str(one["seed"]) for one in kept[1:])
        yield f"\n### {slug}: {result}\n"
        plot = _plot(slug, result)
        if plot:
            yield f"![{slug}, {result}](../papers/{slug}/figures/{plot})\n"
        yield f"`{kept[0]['command']}`{f' and seeds {seeds}' if seeds else ''}\n"
        yield "| figure | paper | here |\n| --- | --- | --- |"
        for row in some:
            cells = row["figure"], row.get("paper", ""), _shown(figure(kept, row["at"]), row)
            yield f"| {' | '.join(cells)} |"


def _plot(slug: str, result: str) -> str | None:
    """Return the first figure of a result: not those of its quick run or of other seeds.

    Names of other results and recipes may begin alike.
    """
    paper = ROOT / "papers" / slug
    named = {path.stem for kind in ("results", "recipes") for path in (paper / kind).iterdir()}
    longer = [f"{name}-" for name in named if name.startswith(f"{result}-")]
    others = (*longer, f"{result}-quick-", f"{result}-seed")
    found = sorted(path.name for path in (paper / "figures").glob(f"{result}-*.png"))
    own = [name for name in found if not name.startswith(others)]
    return own[0] if own else None


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
