"""Options that mean the same in every command, and the one JSON line at a command's end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

Seed = Annotated[int, typer.Option(help="Same seed, same result on the same machine.")]
Device = Annotated[str, typer.Option(help="auto, or cpu to leave an accelerator alone.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="SFUMATO_DATA",
        help="Folder with data sets in their published file formats, one folder a set.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Use a Ray cluster: HOST:PORT, auto (this machine's), or local (start one).",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="End with one line of JSON on stdout.")]


def finish(result: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print the result: for people, or as the one JSON line that scripts read."""
    typer.echo(json.dumps(result) if as_json else text)
