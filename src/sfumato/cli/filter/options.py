"""What the commands around a bank's database share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sfumato.serve.records.store import Store

DATABASE = "sqlite:///sfumato.db"
Database = Annotated[
    str, typer.Option("--db", help="sqlite:///FILE or postgresql://USER@HOST/NAME.")
]
Shortlist = Annotated[
    float | None,
    typer.Option(
        min=0.0, help="Reach: score only who may claim an upload. Left out, all are scored."
    ),
]
BankPlace = Annotated[str, typer.Option("--bank", help="The bank's file, or a database's URL.")]


@contextmanager
def store_of(url: str) -> Iterator[Store]:
    """Yield the enrollments of a database, made where there is none."""
    needs_serve()
    from sfumato.serve.database.db import open_database
    from sfumato.serve.records.store import Store

    store = Store(open_database(url))
    try:
        yield store
    finally:
        store.engine.dispose()


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
