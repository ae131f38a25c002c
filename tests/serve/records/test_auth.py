"""Tokens admit whom they were given to, and are stored nowhere."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, event, select, text

from sfumato.errors import InputError, RequestError
from sfumato.serve.database.clock import Clock
from sfumato.serve.database.db import changing, open_database
from sfumato.serve.database.tables import AccountRow
from sfumato.serve.records.audit_log import COMMAND_LINE, events
from sfumato.serve.records.auth import (
    SCOPES,
    Account,
    account_named,
    add_account,
    add_token,
    check_may_name,
    find_account,
    find_accounts,
    revoke_tokens,
)
from sfumato.serve.records.tokens import Tokens


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = open_database(database)
    yield engine
    engine.dispose()


def admitted(engine: Engine, header: str | None) -> Account:
    return Tokens(engine, Clock(engine)).account(header)


def test_a_token_is_its_accounts_and_nobody_elses(engine: Engine) -> None:
    ada, token = add_account(engine, "ada")
    bob, other = add_account(engine, "bob", role="moderator")
    assert token != other
    assert admitted(engine, f"Bearer {token}") == ada
    assert admitted(engine, f"bearer {other}") == bob
    assert account_named(engine, "bob").role == "moderator"


def test_a_token_is_not_in_the_database(engine: Engine) -> None:
    _, token = add_account(engine, "ada")
    assert token is not None
    tables = ("accounts", "tokens", "audit", "changes")
    with engine.connect() as connection:
        rows = [row for t in tables for row in connection.execute(text(f"SELECT * FROM {t}"))]
    assert len(rows) == 4  # the account, its token, and an entry of each in the log
    assert token not in str(rows)


def test_a_token_is_good_for_its_scopes_only(engine: Engine) -> None:
    add_account(engine, "ada")
    token = add_token(engine, "ada", scopes=["upload"])
    assert admitted(engine, f"Bearer {token}").scopes == {"upload"}
    for wrong in (["moderate"], []):
        with pytest.raises(InputError, match="scopes of a user: enroll, upload"):
            add_token(engine, "ada", scopes=wrong)
    add_account(engine, "gate", role="uploader")
    with pytest.raises(InputError, match="scopes of a uploader: upload"):
        add_token(engine, "gate", scopes=["enroll"])
    every = add_token(engine, "gate")
    assert admitted(engine, f"Bearer {every}").scopes == SCOPES["uploader"]


@pytest.mark.parametrize("days", [1.0, 0.5, 36_500.0])
def test_a_token_is_good_until_its_end_and_not_a_moment_longer(engine: Engine, days: float) -> None:
    add_account(engine, "ada", with_token=False)
    before = datetime.now(UTC)
    token = add_token(engine, "ada", days=days)
    after = datetime.now(UTC)

    class At(Clock):
        def __init__(self, at: datetime) -> None:
            self.at = at

        def now(self) -> datetime:
            return self.at

    for at in (before, before + timedelta(days=days, microseconds=-1)):
        assert Tokens(engine, At(at)).account(f"Bearer {token}").name == "ada"
    with engine.connect() as connection:
        end = datetime.fromisoformat(
            connection.execute(text("SELECT expires FROM tokens")).scalar_one()
        )
    assert before + timedelta(days=days) <= end <= after + timedelta(days=days)
    for late in (0, 1, 1_000_000):
        with pytest.raises(RequestError, match="expired") as caught:
            Tokens(engine, At(end + timedelta(microseconds=late))).account(f"Bearer {token}")
        assert caught.value.status == 401


def test_a_token_expires(engine: Engine) -> None:
    _, lasting = add_account(engine, "ada")
    token = add_token(engine, "ada", days=1.0)
    later = Clock(engine)
    start = later.now().timestamp()
    assert Tokens(engine, later).account(f"Bearer {token}").name == "ada"
    later = Clock(engine, system=lambda: start + timedelta(days=1, minutes=1).total_seconds())
    with pytest.raises(RequestError, match="expired"):
        Tokens(engine, later).account(f"Bearer {token}")
    assert Tokens(engine, later).account(f"Bearer {lasting}").name == "ada"
    for days in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(InputError, match="days"):
            add_token(engine, "ada", days=days)


def test_revoked_tokens_admit_nobody(engine: Engine) -> None:
    _, first = add_account(engine, "ada")
    second = add_token(engine, "ada")
    _, other = add_account(engine, "bob")
    assert revoke_tokens(engine, "ada") == 2
    for token in (first, second):
        with pytest.raises(RequestError, match="nobody has this token"):
            admitted(engine, f"Bearer {token}")
    assert admitted(engine, f"Bearer {other}").name == "bob"


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic YWRhOnB3", "Bearer nobody", "Bearer \x00é"]
)
def test_anything_else_is_refused(engine: Engine, header: str | None) -> None:
    add_account(engine, "ada")
    add_account(engine, "offline", with_token=False)
    with pytest.raises(RequestError) as caught:
        admitted(engine, header)
    assert caught.value.status == 401


def test_names_are_unique_and_plain(engine: Engine) -> None:
    add_account(engine, "ada")
    with pytest.raises(InputError, match="exists already"):
        add_account(engine, "ada")
    for name in ("", " ", "a b", "../x", "a" * 65, "é"):
        with pytest.raises(InputError, match="1 to 64"):
            add_account(engine, name)
    with pytest.raises(InputError, match="there are: ada"):
        account_named(engine, "eve")


def test_what_a_check_does_depends_on_the_digest_of_a_token_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look-up by a hash, and one comparison of hashes in constant time.

    So its time can tell only how a digest of 256 bits compares, and nobody can choose those.
    """
    _, token = add_account(engine, "ada")
    assert token is not None
    first, last = ("B" if letter == "A" else "A" for letter in (token[0], token[-1]))
    tokens = [token, token[:-1] + last, first + token[1:], token[:20], token * 50, "x"]
    asked: list[tuple[str, str]] = []
    compared: list[tuple[bytes, bytes]] = []

    def execute(_c: object, _u: object, sql: str, parameters: object, *_: object) -> None:
        asked.append((sql, str(parameters)))

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return real(a, b)

    real, clock = hmac.compare_digest, Clock(engine)
    monkeypatch.setattr(hmac, "compare_digest", compare)
    event.listen(engine, "before_cursor_execute", execute)
    statements = []
    for sent in tokens:
        asked.clear()
        with suppress(RequestError):
            Tokens(engine, clock).account(f"Bearer {sent}")
        assert not any(sent in parameters for _, parameters in asked if len(sent) > 1)
        assert "tokens.hash = " in asked[-1][0]
        statements.append([sql for sql, _ in asked])
    assert statements == [statements[0]] * len(tokens)
    assert compared == [(hashlib.sha256(token.encode()).digest(),) * 2]


def test_a_role_says_what_its_tokens_may_do(engine: Engine) -> None:
    assert {role: set(scopes) for role, scopes in SCOPES.items()} == {
        "user": {"enroll", "upload"},
        "uploader": {"upload"},
        "moderator": {"enroll", "upload", "moderate"},
    }
    for role in SCOPES:
        account, token = add_account(engine, role, role=role)
        assert (account.role, account.scopes) == (role, SCOPES[role])
        assert admitted(engine, f"Bearer {token}") == account == find_account(engine, role)


def test_a_role_that_was_lowered_takes_scopes_away(engine: Engine) -> None:
    _, token = add_account(engine, "ada", role="moderator")
    with changing(engine) as session:
        session.scalars(select(AccountRow)).one().role = "uploader"
    assert admitted(engine, f"Bearer {token}").scopes == {"upload"}


def test_only_an_uploader_names_others(engine: Engine) -> None:
    for role in SCOPES:
        account, _ = add_account(engine, role, role=role, with_token=False)
        if role == "uploader":
            check_may_name(account)
            continue
        with pytest.raises(RequestError, match="only an uploader may name") as caught:
            check_may_name(account)
        assert caught.value.status == 403


def test_what_is_done_to_accounts_is_logged_without_a_token(engine: Engine) -> None:
    _, first = add_account(engine, "ada", role="moderator")
    second = add_token(engine, "ada", scopes=["upload", "enroll"], days=2.0)
    assert len(second) == len(str(first)) == 43  # 256 bits
    assert add_account(engine, "bob", with_token=False)[1] is None
    revoke_tokens(engine, "ada")
    said = [(e.actor, e.action, e.subject, json.loads(e.detail)) for e in events(engine)]
    end = said[2][3].pop("expires")
    assert said == [
        (COMMAND_LINE, "add account", "ada", {"role": "moderator"}),
        (COMMAND_LINE, "add token", "ada", {"scopes": "enroll moderate upload", "expires": None}),
        (COMMAND_LINE, "add token", "ada", {"scopes": "enroll upload"}),
        (COMMAND_LINE, "add account", "bob", {"role": "user"}),
        (COMMAND_LINE, "revoke tokens", "ada", {"count": 2}),
    ]
    left = datetime.fromisoformat(end) - datetime.now(UTC)
    assert timedelta(days=2, minutes=-2) < left <= timedelta(days=2)


@pytest.mark.parametrize("name", ["a", "A9", "0._@-", "a" * 64])
def test_a_name_has_64_plain_signs_at_most(engine: Engine, name: str) -> None:
    account, _ = add_account(engine, name)
    assert account_named(engine, name) == account
    for wrong in (f"{name}\n", f".{name}", name + "a" * (65 - len(name))):
        with pytest.raises(InputError, match="1 to 64"):
            add_account(engine, wrong)
    assert find_accounts(engine, [name, "nobody", "no name"]) == {name: account}


def test_a_dozen_names_are_listed_in_order(engine: Engine) -> None:
    with pytest.raises(InputError, match="there are: none"):
        account_named(engine, "eve")
    for number in reversed(range(13)):
        add_account(engine, f"u{number:02}", with_token=False)
    listed = ", ".join(f"u{number:02}" for number in range(12))
    with pytest.raises(InputError, match=f"there are: {listed}$"):
        account_named(engine, "eve")


def test_a_token_is_read_from_its_header_alone(engine: Engine) -> None:
    ada, token = add_account(engine, "ada")
    for header in (f"BEARER {token}", f"Bearer  {token} "):
        assert admitted(engine, header) == ada
    for header, why in ((f"Basic {token}", "expected the header"), (token, "expected the header"),
                        (f"Bearer {token}x", "nobody has this token")):  # fmt: skip
        with pytest.raises(RequestError, match=why):
            admitted(engine, header)
