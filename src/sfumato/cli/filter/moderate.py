"""`sfumato filter moderate`: quarantine and appeals, for whoever may open the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli.filter.bank import NO_BACKBONE, show_entries, show_erased
from sfumato.cli.filter.options import (
    DATABASE,
    Beside,
    Database,
    store_of,
    stored_beside,
)
from sfumato.cli.options import AsJson, finish
from sfumato.errors import InputError, RequestError

if TYPE_CHECKING:
    from sfumato.serve.records.decisions import Ruling
    from sfumato.serve.wire import DecisionAnswer

app = typer.Typer(no_args_is_help=True, help="Rule on what waits for a moderator.")
Enrollment = Annotated[str, typer.Argument(help="Id, or its first 8 or more digits.")]
DecisionId = Annotated[str, typer.Argument(help="The decision's whole id.")]


@app.command("list")
def moderate_list(db: Database = DATABASE, as_json: AsJson = False) -> None:
    """List the enrollments that are quarantined, and why."""
    with store_of(db) as store:
        entries = store.entries(status="quarantined")
    show_entries(entries, "nothing is quarantined", as_json=as_json)


@app.command("admit")
def moderate_admit(
    enrollment: Enrollment,
    db: Database = DATABASE,
    backbone: Beside = None,
    as_json: AsJson = False,
) -> None:
    """Let a quarantined enrollment count. It is screened again, and overrides none it resembles."""
    beside = stored_beside(db, backbone, missing=NO_BACKBONE)
    with store_of(db) as store:
        from sfumato.serve.moderating import admit

        entry = admit(store, enrollment, backbone=beside)
    result = {"id": entry.id, "account": entry.account, "status": "active"}
    finish(result, f"admitted {entry.id} of {entry.account}", as_json=as_json)


@app.command("reject")
def moderate_reject(
    enrollment: Enrollment, db: Database = DATABASE, as_json: AsJson = False
) -> None:
    """Erase a quarantined enrollment."""
    with store_of(db) as store:
        from sfumato.serve.moderating import reject

        gone, done = reject(store, enrollment)
    show_erased(gone, done=done, as_json=as_json)


@app.command("appeals")
def moderate_appeals(db: Database = DATABASE, as_json: AsJson = False) -> None:
    """List the appeals that wait, oldest first: who was blocked by whose enrollment, and why."""
    with store_of(db) as store:
        from sfumato.serve.records.decisions import appeals

        found = appeals(store, limit=None)
    text = "\n".join(map(_line, found)) or "no appeal waits"
    finish({"appeals": [one.model_dump() for one in found]}, text, as_json=as_json)


@app.command("confirm")
def moderate_confirm(
    decision: DecisionId, db: Database = DATABASE, as_json: AsJson = False
) -> None:
    """Confirm a blocked upload that was appealed."""
    _rule(db, decision, "confirm", as_json=as_json)


@app.command("overturn")
def moderate_overturn(
    decision: DecisionId, db: Database = DATABASE, as_json: AsJson = False
) -> None:
    """Overturn a blocked upload that was appealed."""
    _rule(db, decision, "overturn", as_json=as_json)


def _rule(db: str, decision: str, ruling: Ruling, *, as_json: bool) -> None:
    with store_of(db) as store:
        from sfumato.serve.records.audit_log import COMMAND_LINE
        from sfumato.serve.records.decisions import rule

        try:
            rule(store, decision, ruling, actor=COMMAND_LINE)
        except RequestError as error:
            raise InputError(f"{error}; 'sfumato filter moderate appeals' shows what is") from error
    finish({"id": decision, "ruling": ruling}, f"{ruling}: {decision}", as_json=as_json)


def _line(one: DecisionAnswer) -> str:
    whose = one.enrollment_account or "an erased enrollment"
    near = "-" if one.margin is None else f"{one.margin:.3g}"
    return (
        f"{one.id}  {one.created[:19]}  {one.account} by {whose}  {one.claim}, margin {near}  "
        f"{one.note!r}"
    )
