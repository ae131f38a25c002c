"""Accounts and their tokens.

A token is 256 random bits, so nobody can search for it and a slow password hash would protect
nothing: SHA-256 alone makes the stored value useless to whoever reads the database.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sfumato.errors import InputError, RequestError
from sfumato.serve.db import Account, storage_errors

_TOKEN_BYTES: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True)
class Caller:
    """The account on whose behalf a request is served."""

    id: int
    name: str
    moderator: bool


def add_account(
    engine: Engine, name: str, *, moderator: bool = False, with_token: bool = True
) -> tuple[Caller, str | None]:
    """Create an account; return it with its token, which is stored nowhere in the clear.

    Raises:
        InputError: the name is taken, or not 1 to 64 letters, digits and `. _ @ -`.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"expected a name of 1 to 64 letters, digits and . _ @ -, got {name!r}")
    token = secrets.token_urlsafe(_TOKEN_BYTES) if with_token else None
    account = Account(name=name, token_hash=_hash(token) if token else None, moderator=moderator)
    try:
        with storage_errors(), Session(engine) as session, session.begin():
            session.add(account)
            session.flush()
            caller = Caller(account.id, name, moderator)
    except IntegrityError as error:
        raise InputError(f"the account {name!r} exists already; choose another name") from error
    return caller, token


def authenticate(engine: Engine, header: str | None) -> Caller:
    """Return the account of an `Authorization: Bearer TOKEN` header.

    Raises:
        RequestError: (401) there is no such header, or nobody has this token.
    """
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise RequestError(401, "expected the header 'Authorization: Bearer TOKEN'")
    digest = _hash(token.strip())
    with Session(engine) as session:
        account = session.scalar(select(Account).where(Account.token_hash == digest))
        # The index compares hashes, which reveal nothing of a token by their timing; this
        # comparison is what admits.
        stored = account.token_hash if account is not None else None
        if account is None or stored is None or not hmac.compare_digest(stored, digest):
            raise RequestError(401, "nobody has this token; check that it was copied whole")
        return Caller(account.id, account.name, account.moderator)


def account_named(engine: Engine, name: str) -> Caller:
    """Return the account of this name, or raise an InputError that lists a few there are."""
    with Session(engine) as session:
        account = session.scalar(select(Account).where(Account.name == name))
        if account is None:
            names = session.scalars(select(Account.name).order_by(Account.name).limit(12)).all()
            known = ", ".join(names) or "none"
            raise InputError(f"no account is named {name!r}; there are: {known}")
        return Caller(account.id, account.name, account.moderator)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
