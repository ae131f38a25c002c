"""The README's table of results; its sentences are typed, its figures are read.

`papers/summary.toml` has the rows. `{paper/recipe/key/key:format}` stands for the figure at those
keys of `papers/<paper>/results/<recipe>.json`, in a format of Python's; of several seeds it is the
mean. An interval is left out.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from papers.seeds import figure, results

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
_HEAD = "| | paper | here |\n| --- | --- | --- |\n"
_TABLE = re.compile(re.escape(_HEAD) + r"(?:\|.*\n)+")
_FIGURE = re.compile(r"\{([^{}:]+):([^{}]+)\}")


def readme() -> str:
    """Return the README with the figures that the results have now."""
    text, found = _TABLE.subn(lambda _: table(), README.read_text())
    assert found == 1, f"README.md needs one table that begins with {_HEAD!r}"
    return text


def table() -> str:
    """Return the rows in Markdown."""
    rows = tomllib.loads((ROOT / "papers" / "summary.toml").read_text())["row"]
    lines = (f"| {row['what']} | {row['paper']} | {row['here']} |\n" for row in rows)
    return _HEAD + "".join(filled(line) for line in lines)


def filled(text: str) -> str:
    """Put figures in the place of what stands for them."""
    return _FIGURE.sub(lambda match: _figure(*match.groups()), text)


def _figure(keys: str, form: str) -> str:
    paper, recipe, *at = keys.split("/")
    value = figure(results(paper, recipe), at).value
    return format(value, form).replace("%", " %")
