"""Options that mean the same in every command, and the one JSON line at a command's end."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sfumato.device import parse_device, resolve_device
from sfumato.errors import ConfigError

if TYPE_CHECKING:
    from sfumato.data.leftout import LeftOut

Seed = Annotated[
    int,
    # What NumPy takes. PyTorch takes more, but seeds are multiplied to tell restarts apart.
    typer.Option(min=0, max=2**32 - 1, help="Same seed, same result on the same machine."),
]


def parse_somewhere(text: str) -> str:
    """Return the device that `--device` names, which another machine may have."""
    try:
        return parse_device(text)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error


def parse_here(text: str) -> str:
    """Return the device that `--device` names, which this machine has."""
    if parse_somewhere(text) not in ("auto", "cpu"):  # these need no torch to be looked for
        resolve_device(text)
    return text


Data = Annotated[str, typer.Option(help="A folder of pictures, or a name of `data list`.")]
SplitName = Annotated[
    Literal["all", "train", "test"], typer.Option(help="Part of the published set.")
]
Count = Annotated[int | None, typer.Option(help="Only so many images, drawn at random.", min=1)]
_DEVICE = "auto (the accelerator, if there is one), cpu, cuda, cuda:N, mps, xpu or xpu:N."
Device = Annotated[str, typer.Option(parser=parse_here, metavar="DEVICE", help=_DEVICE)]
DeviceSomewhere = Annotated[
    str, typer.Option(parser=parse_somewhere, metavar="DEVICE", help=_DEVICE)
]
"""For a command whose work may go to other machines."""
DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="SFUMATO_DATA",
        help="Folder with data sets in their published file formats, one folder a set.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Processes that decode pictures; one a core by default, 0 is the service's own."
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


def file_to_write(path: Path | None) -> Path | None:
    """Return where `--out` puts a file, refused before any work where that cannot be."""
    if path is not None:
        from sfumato.files import check_file

        check_file(path)
    return path


def file_of(spec: str) -> list[Path]:
    """Return the file that the spec of a backbone names, such as onnx:PATH, if it names one."""
    from sfumato.files import at_home

    kind, colon, place = spec.partition(":")
    return [at_home(each) for each in (spec, place if colon and kind == "onnx" else "") if each]


def folder_to_write(path: Path | None) -> Path | None:
    """Return the folder that `--out` names, refused before any work where none can be."""
    if path is not None:
        from sfumato.files import check_folder

        check_folder(path)
    return path


def warn_if_others_can_read(secret: Path) -> None:
    """Say on stderr where every user of this machine can read a secret's file."""
    try:
        readable = os.name == "posix" and secret.stat().st_mode & stat.S_IROTH
    except OSError:  # whoever reads it says so
        return
    if readable:
        typer.echo(
            f"warning: every user of this machine can read {secret}: chmod 600 {secret}", err=True
        )


AsJson = Annotated[bool, typer.Option("--json", help="End with one line of JSON on stdout.")]


def finish(result: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print the result: for people, or as the one JSON line that scripts read."""
    typer.echo(json.dumps(result) if as_json else text)


def say_skipped(left_out: Iterable[LeftOut]) -> None:
    """Name on stderr what a command left out, with the reasons."""
    for each in left_out:
        typer.echo(f"skipped {each}", err=True)
