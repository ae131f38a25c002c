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


def add_account(
    engine: Engine, name: str, *, role: Role = "user", with_token: bool = True
) -> tuple[Account, str | None]:
    """Create an account; return it with its token, which is stored nowhere in the clear.

    Raises:
        InputError: the name is taken, or not 1 to 64 letters, digits and `. _ @ -`.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"expected a name of 1 to 64 letters, digits and . _ @ -, got {name!r}")
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


def authenticate(engine: Engine, clock: Clock, header: str | None) -> Account:
    """Return the account of an `Authorization: Bearer TOKEN` header.

    Raises:
        RequestError: (401) there is no such header, nobody has this token, or it has expired.
    """
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise RequestError(401, "expected the header 'Authorization: Bearer TOKEN'")
    digest = _hash(token.strip())
    query = select(TokenRow, AccountRow).join(AccountRow, AccountRow.id == TokenRow.account_id)
    with reading(engine) as session:
        found = session.execute(query.where(TokenRow.hash == digest)).one_or_none()
        # The index compares hashes, which reveal nothing of a token by their timing; this
        # comparison is what admits.
        if found is None or not hmac.compare_digest(found[0].hash, digest):
            raise RequestError(401, "nobody has this token; check that it was copied whole")
        token_row, row = found
        if token_row.expires is not None and token_row.expires <= clock.text():
            raise RequestError(401, "this token has expired; ask for another one")
        role = cast("Role", row.role)
        scopes = frozenset(cast("list[Scope]", token_row.scopes.split()))
        return Account(row.id, row.name, role, scopes & SCOPES[role])


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
    if not _NAME.fullmatch(name):
        return None
    with reading(engine) as session:
        row = session.scalar(select(AccountRow).where(AccountRow.name == name))
        if row is None:
            return None
        role = cast("Role", row.role)
        return Account(row.id, row.name, role, SCOPES[role])


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
