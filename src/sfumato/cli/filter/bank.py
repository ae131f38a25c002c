"""`sfumato filter bank`: keep enrollments; a service may run on the same bank."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli.filter.options import (
    DATABASE,
    Account,
    Beside,
    Database,
    stored_beside,
)
from sfumato.cli.imports import quick_imports
from sfumato.cli.options import AsJson, finish

if TYPE_CHECKING:
    from sfumato.serve.records.store import Entry

NO_BACKBONE = (
    "warning: no backbone file beside the database: the enrollments are not tried on public "
    "pictures; give --backbone FILE"
)

app = typer.Typer(no_args_is_help=True, help="Keep a bank of enrollments.")


@app.command("add")
def bank_add(
    files: Annotated[list[Path], typer.Argument(help="Enrollment files.")],
    account: Account,
    db: Database = DATABASE,
    backbone: Beside = None,
    as_json: AsJson = False,
) -> None:
    """Check, screen and add enrollments; the first one of a new bank fixes its backbone.

    The public pictures of the backbone's policy screen them, as `filter serve` does. Without its
    file they are screened against each other alone.
    """
    with quick_imports():
        from sfumato.serve.local import add_files

    beside = stored_beside(db, backbone, missing=NO_BACKBONE)
    entries = add_files(db, files, account, backbone=beside)
    show_entries(entries, as_json=as_json)


@app.command("remove")
def bank_remove(
    enrollment: Annotated[str, typer.Argument(help="Id, or its first 8 or more digits.")],
    db: Database = DATABASE,
    as_json: AsJson = False,
) -> None:
    """Erase an enrollment: no query finds it, and no byte of it stays in a SQLite bank's files."""
    from sfumato.serve.local import remove

    gone, done = remove(db, enrollment)
    show_erased(gone, done=done, as_json=as_json)


@app.command("list")
def bank_list(db: Database = DATABASE, as_json: AsJson = False) -> None:
    """List the enrollments of a bank."""
    from sfumato.serve.local import opened

    with opened(db) as store:
        entries = store.entries()
    show_entries(entries, as_json=as_json)


def show_erased(gone: Entry, *, done: bool, as_json: bool) -> None:
    """Print what was erased, and whether its bytes are gone."""
    text = f"erased {gone.id} of {gone.account}"
    if not done:
        text += "; its bytes are in the files until a service or 'db purge' rids them of it"
    result = {"erased": gone.id, "account": gone.account, "done": done}
    finish(result, text, as_json=as_json)


def show_entries(entries: list[Entry], none: str = "the bank is empty", *, as_json: bool) -> None:
    """End a command with a list of enrollments, or with the words for `none`."""
    lines = [f"{e.id}  {e.status:<12}{e.account:<16}{e.created[:19]}  {e.reason}" for e in entries]
    result = {
        "enrollments": [
            {
                "id": e.id,
                "account": e.account,
                "status": e.status,
                "reason": e.reason,
                "created": e.created,
            }
            for e in entries
        ]
    }
    finish(result, "\n".join(lines) or none, as_json=as_json)
