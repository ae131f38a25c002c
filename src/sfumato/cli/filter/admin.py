"""`sfumato filter user|rules|log|db`: what whoever may open the database may do to it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sfumato.cli.filter.options import DATABASE, Database, store_of
from sfumato.cli.options import AsJson, file_to_write, finish
from sfumato.errors import InputError, RequestError

if TYPE_CHECKING:
    from sfumato.serve.backup import Checked

user = typer.Typer(no_args_is_help=True, help="Accounts of the service, and their tokens.")
rules = typer.Typer(no_args_is_help=True, help="Thresholds, roll-out and timed disabling.")
db = typer.Typer(no_args_is_help=True, help="Back up, restore, check or purge a database.")

Name = Annotated[str, typer.Argument(help="1 to 64 letters, digits and . _ @ -")]
Hours = Annotated[float | None, typer.Option("--disable-hours", help="0 ends a disabling.")]
Alpha = Annotated[
    float | None,
    typer.Option(help="Threshold in sigmas above the mean error, of a bank without a policy."),
]
FalseBlocks = Annotated[
    float | None,
    typer.Option(
        help="Share of strangers' uploads that may be blocked, of a bank whose backbone has a "
        "policy; 0.01 is one in a hundred."
    ),
]


@user.command("add")
def user_add(
    name: Name,
    db: Database = DATABASE,
    role: Annotated[
        Literal["user", "uploader", "moderator"],
        typer.Option(help="An uploader is a platform's gateway that uploads for users."),
    ] = "user",
    as_json: AsJson = False,
) -> None:
    """Create an account and print its token, once: only its hash is kept."""
    from sfumato.serve.records.auth import add_account, check_name

    check_name(name)  # before there is a database
    with store_of(db, create=True) as store:
        _, token = add_account(store.engine, name, role=role)
    finish({"name": name, "role": role, "token": token}, str(token), as_json=as_json)


@user.command("token")
def user_token(
    name: Name,
    db: Database = DATABASE,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="enroll, upload or moderate; all that the account's role may, if none."),
    ] = None,
    days: Annotated[float | None, typer.Option(help="For how long; for ever by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print one more token of an account."""
    with store_of(db) as store:
        from sfumato.serve.records.auth import add_token

        token = add_token(store.engine, name, scopes=scope, days=days)
    finish({"name": name, "token": token}, token, as_json=as_json)


@user.command("revoke")
def user_revoke(name: Name, db: Database = DATABASE, as_json: AsJson = False) -> None:
    """Revoke every token of an account, from the next request on."""
    with store_of(db) as store:
        from sfumato.serve.records.auth import revoke_tokens

        count = revoke_tokens(store.engine, name)
    finish({"name": name, "revoked": count}, f"revoked {count} of {name}", as_json=as_json)


@rules.command("show")
def rules_show(db: Database = DATABASE, as_json: AsJson = False) -> None:
    """Show the bank's rules."""
    with store_of(db) as store:
        from sfumato.serve.records.rules import read_rules

        found = read_rules(store)
    until = found.disabled_until and found.disabled_until.isoformat()
    result = {
        "alpha": found.alpha,
        "false_blocks": found.false_blocks,
        "enforced": found.enforced,
        "disabled_until": until,
    }
    share = "as the policy says" if found.false_blocks is None else f"{found.false_blocks:g}"
    text = (
        f"false blocks {share} (without a policy: alpha {found.alpha:g}), "
        f"enforced {found.enforced:g}, disabled until {until or '-'}"
    )
    finish(result, text, as_json=as_json)


@rules.command("set")
def rules_set(
    db: Database = DATABASE,
    alpha: Alpha = None,
    false_blocks: FalseBlocks = None,
    enforced: Annotated[
        float | None, typer.Option(help="Share of uploaders blocked; the rest is observed.")
    ] = None,
    disable_hours: Hours = None,
    as_json: AsJson = False,
) -> None:
    """Change the bank's rules, for every running service within a second."""
    with store_of(db) as store:
        from sfumato.serve.records.audit_log import COMMAND_LINE
        from sfumato.serve.records.rules import change_bank

        change_bank(
            store,
            actor=COMMAND_LINE,
            alpha=alpha,
            false_blocks=false_blocks,
            enforced=enforced,
            disable_hours=disable_hours,
        )
    rules_show(db, as_json)


@rules.command("account")
def rules_account(
    name: Name,
    db: Database = DATABASE,
    alpha: Alpha = None,
    false_blocks: FalseBlocks = None,
    disable_hours: Hours = None,
    as_json: AsJson = False,
) -> None:
    """Change the threshold of one account's enrollments, or disable them for a time."""
    with store_of(db) as store:
        from sfumato.serve.records.audit_log import COMMAND_LINE
        from sfumato.serve.records.rules import change_account

        change_account(
            store,
            name,
            actor=COMMAND_LINE,
            alpha=alpha,
            false_blocks=false_blocks,
            disable_hours=disable_hours,
        )
    finish({"name": name}, f"changed {name}", as_json=as_json)


@rules.command("enrollment")
def rules_enrollment(
    enrollment: Annotated[str, typer.Argument(help="The enrollment's whole id.")],
    disable_hours: Annotated[float, typer.Option(help="For how long; 0 ends it.")],
    db: Database = DATABASE,
    as_json: AsJson = False,
) -> None:
    """Disable one enrollment for a time."""
    with store_of(db) as store:
        from sfumato.serve.records.audit_log import COMMAND_LINE
        from sfumato.serve.records.rules import disable_enrollment

        try:
            disable_enrollment(store, enrollment, disable_hours, actor=COMMAND_LINE)
        except RequestError as error:
            raise InputError(f"{error}; 'sfumato filter bank list' shows what is") from error
    finish({"id": enrollment}, f"changed {enrollment}", as_json=as_json)


def log(
    db: Database = DATABASE,
    after: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Print what follows this entry.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Print the audit log, and check that no entry was altered."""
    with store_of(db) as store:
        from sfumato.serve.records.audit_log import events, verify

        found = list(events(store.engine, after=after))
        count, digest = verify(store.engine)
    lines = [f"{e.sequence:>7}  {e.created[:19]}  {e.actor}: {e.action} {e.subject}" for e in found]
    result = {"events": [asdict(e) for e in found], "count": count, "digest": digest}
    finish(result, "\n".join([*lines, f"{count} entries, {digest}"]), as_json=as_json)


@db.command("backup")
def db_backup(
    out: Annotated[
        Path, typer.Option("--out", "-o", callback=file_to_write, help="File to write.")
    ],
    db: Database = DATABASE,
    as_json: AsJson = False,
) -> None:
    """Write everything to one checked file, while services run; only its owner may read it."""
    with store_of(db) as store:
        from sfumato.serve.backup import backup

        found = backup(store.engine, out)
    _finish_checked(found, f"wrote {out}", as_json=as_json)


@db.command("restore")
def db_restore(
    backup: Annotated[Path, typer.Argument(help="What 'db backup' wrote.")],
    db: Database = DATABASE,
    as_json: AsJson = False,
) -> None:
    """Fill a new, empty database with a backup, also one from another kind of database."""
    from sfumato.serve.backup import check_backup, restore

    check_backup(backup)  # before there is a database
    with store_of(db, create=True) as store:
        found = restore(backup, store.engine)
    _finish_checked(found, f"restored {backup}", as_json=as_json)


@db.command("check")
def db_check(db: Database = DATABASE, as_json: AsJson = False) -> None:
    """Read all enrollments and the audit log, and look for bytes of what was erased."""
    with store_of(db) as store:
        from sfumato.serve.backup import check

        found = check(store.engine)
    _finish_checked(found, "sound", as_json=as_json)


@db.command("purge")
def db_purge(db: Database = DATABASE, as_json: AsJson = False) -> None:
    """Rewrite the database without a byte of erased enrollments; who enrolls waits meanwhile."""
    with store_of(db) as store:
        from sfumato.serve.records.erasures import purge

        purge(store)
    finish({"purged": True}, "purged", as_json=as_json)


def _finish_checked(found: Checked, text: str, *, as_json: bool) -> None:
    gone = f"{found.erased} erased without a trace, {found.pending} being erased"
    line = f"{text}: {found.enrollments} enrollments, {gone}, {found.events} log entries, "
    line += found.digest
    finish(asdict(found), line, as_json=as_json)
