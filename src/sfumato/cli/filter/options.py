"""What the commands around a bank's database share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli.imports import quick_imports
from sfumato.errors import InputError

if TYPE_CHECKING:
    from sfumato.features.stored import Stored
    from sfumato.serve.records.store import Store

DATABASE = "sfumato.db"
Database = Annotated[
    str,
    typer.Option(
        "--db", help="Database: a SQLite file, sqlite:///FILE or postgresql://USER@HOST/NAME."
    ),
]
Account = Annotated[str, typer.Option("--account", help="Name of the account that they belong to.")]
Beside = Annotated[
    Path | None,
    typer.Option(
        "--backbone", help="Backbone file; by default the database's, with the ending .backbone."
    ),
]
Shortlist = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        help="Score only enrollments that may match an upload; 0.5 for faces, 1.5 for digits. "
        "Without it all are scored.",
    ),
]

PublicLabel = Annotated[
    str | None,
    typer.Option(
        "--label",
        help="Label that says whom a public picture shows; needed where there are several.",
    ),
]


@contextmanager
def store_of(database: str, *, create: bool = False) -> Iterator[Store]:
    """Open a database for a `with` block; `create` makes one where there is none.

    Raises:
        BankError: there is no database, and none may be created.
    """
    with quick_imports():
        from sfumato.serve.local import opened

    with opened(database, create=create) as store:
        yield store


UNCALIBRATED = (
    "warning: {file} has no policy, so nobody knows how many strangers this filter blocks; "
    "measure it: sfumato filter calibrate --backbone {file} --public PICTURES"
)
"""What every command says that decides, or lets others be decided about, without a policy."""


def backbone_beside(database: str, backbone: Path | None) -> Path:
    """Return the backbone file of a database: the one given, or FILE.backbone beside FILE.db.

    Raises:
        InputError: the database is given as a URL, and no backbone file.
    """
    from sfumato.files import at_home

    if backbone is None and "://" in database:
        raise InputError("expected --backbone FILE beside a database that is given as a URL")
    return backbone or at_home(database).with_suffix(".backbone")


def stored_of(file: Path) -> Stored:
    """Return what is in a backbone file; warn on stderr where it has no policy."""
    from sfumato.features.stored import read

    found = read(file)
    if found.policy is None:
        typer.echo(UNCALIBRATED.format(file=file), err=True)
    return found


def stored_beside(database: str, backbone: Path | None, *, missing: str) -> Stored | None:
    """Return what is in the backbone file beside a database; without one, warn that it is missing.

    Raises:
        ArtifactError: the file that is given, or lies there, is no backbone's.
    """
    unknown = backbone is None and "://" in database
    beside = None if unknown else backbone_beside(database, backbone)
    if beside is not None and (beside.is_file() or backbone is not None):
        return stored_of(beside)
    typer.echo(missing, err=True)
    return None
