"""Accounts, their roles, and the tokens that act for them.

A token is 256 random bits, which cannot be guessed. A slow password hash would not help: SHA-256
is enough to make the stored value useless to someone who reads the database.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, cast, get_args

from sqlalchemy import Engine, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sfumato.errors import InputError, RequestError
from sfumato.serve.database.clock import Clock, as_text
from sfumato.serve.database.db import changing, reading
from sfumato.serve.database.tables import AccountRow, TokenRow
from sfumato.serve.records.audit_log import COMMAND_LINE, record

Role = Literal["user", "uploader", "moderator"]
"""A user enrolls and uploads; an uploader is a platform's gateway, which uploads for users; a
moderator decides what a user may not, and may do what a user may."""
Scope = Literal["enroll", "upload", "moderate"]
SCOPES: Final[dict[Role, frozenset[Scope]]] = {
    "user": frozenset({"enroll", "upload"}),
    "uploader": frozenset({"upload"}),
    "moderator": frozenset({"enroll", "upload", "moderate"}),
}
"""The scopes that each role's tokens may have."""
_TOKEN_BYTES: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who enrolls, uploads or moderates, and what the token of a request allows."""

    id: int
    name: str
    role: Role
    scopes: frozenset[Scope]


def check_name(name: str) -> None:
    """Raise an InputError unless an account may have this name."""
    if not _NAME.fullmatch(name):
        raise InputError(f"expected a name of 1 to 64 letters, digits and . _ @ -, got {name!r}")


def add_account(
    engine: Engine, name: str, *, role: Role = "user", with_token: bool = True
) -> tuple[Account, str | None]:
    """Create an account; return it with its token, which is stored nowhere in the clear.

    Raises:
        InputError: the name is taken, or not 1 to 64 letters, digits and `. _ @ -`.
    """
    check_name(name)
    at = Clock(engine).text()
    row = AccountRow(name=name, role=_checked_role(role), created=at)
    try:
        with changing(engine) as session:
            session.add(row)
            session.flush()
            _audit(session, at, "add account", name, role=role)
            token = _insert_token(session, row, SCOPES[role], at) if with_token else None
            account = Account(row.id, name, role, SCOPES[role])
    except IntegrityError as error:
        raise InputError(f"the account {name!r} exists already; choose another name") from error
    return account, token


def add_token(
    engine: Engine,
    name: str,
    *,
    scopes: Iterable[str] | None = None,
    days: float | None = None,
) -> str:
    """Return a new token of an account, good for `scopes` (all of its role's) and `days` (ever).

    Raises:
        InputError: no account has this name, a scope is not its role's, or `days` not positive.
    """
    account = account_named(engine, name)
    asked = SCOPES[account.role] if scopes is None else frozenset(scopes)
    wanted = SCOPES[account.role] & asked
    if not asked or wanted != asked:
        allowed = ", ".join(sorted(SCOPES[account.role]))
        raise InputError(f"expected scopes of a {account.role}: {allowed}; got {sorted(asked)}")
    if days is not None and not 0 < days <= 36_500:
        raise InputError(f"expected more than 0 and at most 36,500 days, got {days}")
    clock = Clock(engine)
    expires = as_text(clock.now() + timedelta(days=days)) if days is not None else None
    with changing(engine) as session:
        row = session.get_one(AccountRow, account.id)
        return _insert_token(session, row, wanted, clock.text(), expires)


def revoke_tokens(engine: Engine, name: str) -> int:
    """Delete every token of an account, from the next request on; return how many there were."""
    account = account_named(engine, name)
    at = Clock(engine).text()
    with changing(engine) as session:
        found = session.scalars(select(TokenRow.id).filter_by(account_id=account.id)).all()
        session.execute(delete(TokenRow).where(TokenRow.id.in_(found)))
        _audit(session, at, "revoke tokens", name, count=len(found))
    return len(found)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Whom a token admits, and until when."""

    account: Account
    expires: str | None
    """As the database stores times; None is never."""


def digest_of(header: str | None) -> bytes:
    """Return the hash of the token in an `Authorization: Bearer TOKEN` header.

    Raises:
        RequestError: (401) there is no such header.
    """
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise RequestError(401, "expected the header 'Authorization: Bearer TOKEN'")
    return _hash(token.strip())


def find_token(engine: Engine, digest: bytes) -> Admitted:
    """Return whom the token with this hash admits, expired or not.

    Raises:
        RequestError: (401) nobody has this token.
    """
    query = select(TokenRow, AccountRow).join(AccountRow, AccountRow.id == TokenRow.account_id)
    with reading(engine) as session:
        found = session.execute(query.where(TokenRow.hash == digest)).one_or_none()
        # The index compares hashes, which reveal nothing of a token by their timing; this
        # comparison is what admits.
        if found is None or not hmac.compare_digest(found[0].hash, digest):
            raise RequestError(401, "nobody has this token; check that it was copied whole")
        token_row, row = found
        role = cast("Role", row.role)
        scopes = frozenset(cast("list[Scope]", token_row.scopes.split()))
        return Admitted(Account(row.id, row.name, role, scopes & SCOPES[role]), token_row.expires)


def admitted(found: Admitted, clock: Clock) -> Account:
    """Return the account that a token admits now.

    Raises:
        RequestError: (401) it has expired.
    """
    if found.expires is not None and found.expires <= clock.text():
        raise RequestError(401, "this token has expired; ask for another one")
    return found.account


def account_named(engine: Engine, name: str) -> Account:
    """Return the account of this name, or raise an InputError that lists a few there are."""
    found = find_account(engine, name)
    if found is None:
        with reading(engine) as session:
            names = session.scalars(
                select(AccountRow.name).order_by(AccountRow.name).limit(12)
            ).all()
        known = ", ".join(names) or "none"
        raise InputError(f"no account is named {name!r}; there are: {known}")
    return found


def find_account(engine: Engine, name: str) -> Account | None:
    """Return the account of this name, or None."""
    return find_accounts(engine, [name]).get(name)


def find_accounts(engine: Engine, names: Iterable[str]) -> dict[str, Account]:
    """Return the accounts that have some names, by name; a name that nobody has is left out."""
    possible = [name for name in names if _NAME.fullmatch(name)]
    with reading(engine) as session:
        rows = session.scalars(select(AccountRow).where(AccountRow.name.in_(possible))).all()
        return {
            row.name: Account(row.id, row.name, role, SCOPES[role])
            for row in rows
            for role in [cast("Role", row.role)]
        }


def check_may_name(account: Account) -> None:
    """Raise a RequestError (403) unless the account may act for a person whom it names."""
    if account.role != "uploader":
        raise RequestError(403, "only an uploader may name another account; leave it out")


def _checked_role(role: str) -> str:
    if role not in get_args(Role):
        raise InputError(f"expected a role of {', '.join(get_args(Role))}, got {role!r}")
    return role


def _insert_token(
    session: Session,
    row: AccountRow,
    scopes: frozenset[Scope],
    at: str,
    expires: str | None = None,
) -> str:
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    text = " ".join(sorted(scopes))
    session.add(
        TokenRow(account_id=row.id, hash=_hash(token), scopes=text, expires=expires, created=at)
    )
    _audit(session, at, "add token", row.name, scopes=text, expires=expires)
    return token


def _audit(session: Session, at: str, action: str, name: str, **detail: str | int | None) -> None:
    record(session, at=at, actor=COMMAND_LINE, action=action, subject=name, detail=detail)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
