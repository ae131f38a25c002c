"""Writes docs/commands.md from the commands' own help: `python docs/reference.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from sfumato.cli.main import app
from sfumato.files import write_bytes

PAGE = Path(__file__).parent / "commands.md"
_HEAD = """# Commands

Written from the commands' own help by `python docs/reference.py`. Every long command shows
progress on stderr, takes `--seed`, and ends with one line of JSON on stdout when `--json` is given.
"""


def page() -> str:
    """Return the page in Markdown: every command with its arguments and options."""
    root = typer.main.get_command(app)
    return "\n".join([_HEAD, *_lines("sfumato", root)]) + "\n"


def _lines(name: str, command: Any) -> Iterator[str]:  # noqa: ANN401 - typer has a click of its own
    if hasattr(command, "commands"):
        for part, sub in sorted(command.commands.items()):
            yield from _lines(f"{name} {part}", sub)
        return
    yield f"## {name}\n"
    yield f"{(command.help or '').strip()}\n"
    yield "| | |\n| --- | --- |"
    for parameter in command.params:
        if parameter.name != "help":
            yield f"| `{_spelled(parameter)}` | {_told(parameter)} |"
    yield ""


def _spelled(parameter: Any) -> str:  # noqa: ANN401
    if parameter.param_type_name == "argument":
        return (parameter.name or "").upper()
    return ", ".join(parameter.opts)


def _told(parameter: Any) -> str:  # noqa: ANN401
    text = str(getattr(parameter, "help", None) or "").replace("|", "\\|")
    if parameter.required:
        return f"{text} *Required.*"
    default = parameter.default
    plain = isinstance(default, str | int | float | Path) and not isinstance(default, bool)
    return f"{text} Default: `{default}`." if plain else text


if __name__ == "__main__":
    write_bytes(PAGE, page().encode())
