"""What the commands around a bank's database share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli.imports import quick_imports

if TYPE_CHECKING:
    from sfumato.serve.records.store import Store

DATABASE = "sfumato.db"
Database = Annotated[
    str,
    typer.Option(
        "--db", help="Database: a SQLite file, sqlite:///FILE or postgresql://USER@HOST/NAME."
    ),
]
Account = Annotated[str, typer.Option("--account", help="Name of the account that they belong to.")]
Shortlist = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        help="Score only enrollments that may match an upload; 0.5 for faces, 1.5 for digits. "
        "Without it all are scored.",
    ),
]


@contextmanager
def store_of(database: str, *, create: bool = False) -> Iterator[Store]:
    """Open a database for a `with` block; `create` makes one where there is none.

    Raises:
        BankError: there is no database, and none may be created.
    """
    needs_serve()
    with quick_imports():
        from sfumato.serve.local import opened

    with opened(database, create=create) as store:
        yield store


def needs_serve() -> None:
    """Raise an UnavailableError where the `serve` extra is not installed."""
    from importlib.util import find_spec

    from sfumato.errors import UnavailableError

    wanted = ("sqlalchemy", "alembic", "fastapi", "uvicorn")
    missing = [name for name in wanted if find_spec(name) is None]
    if missing:
        raise UnavailableError(
            f"a bank and its service need {missing[0]}; pip install 'sfumato[serve]'"
        )
