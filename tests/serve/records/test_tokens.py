"""A token is remembered for less than a second: revoked it admits nobody after that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event

from sfumato.errors import RequestError
from sfumato.serve.database.clock import Clock
from sfumato.serve.database.db import open_database
from sfumato.serve.records import tokens as module
from sfumato.serve.records.auth import add_account, add_token, revoke_tokens
from sfumato.serve.records.tokens import FRESH_SECONDS, Tokens


class Time:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = open_database(database)
    yield engine
    engine.dispose()


def asks(engine: Engine, tokens: Tokens, header: str) -> tuple[str, int]:
    """Return who is admitted, and how many statements that took."""
    count = 0

    def counted(*_: object) -> None:
        nonlocal count
        count += 1

    event.listen(engine, "before_cursor_execute", counted)
    try:
        found = tokens.remembered(header) or tokens.account(header)
    finally:
        event.remove(engine, "before_cursor_execute", counted)
    return found.name, count


def test_a_remembered_token_asks_nobody_and_one_request_renews_it(engine: Engine) -> None:
    _, token = add_account(engine, "ada")
    time = Time()
    tokens = Tokens(engine, Clock(engine), seconds=time)
    header = f"Bearer {token}"
    found = []
    for passed in (0.0, 0.1, FRESH_SECONDS, 0.01, 0.1, FRESH_SECONDS + 0.01):
        time.now += passed
        found.append(asks(engine, tokens, header))
    assert {name for name, _ in found} == {"ada"}
    assert [count > 0 for _, count in found] == [True, False, True, False, False, True]
    time.now += FRESH_SECONDS + 0.01
    assert tokens.remembered(header) is None  # this one goes and asks
    assert tokens.remembered(header) is not None  # and the others do not wait for it
    time.now += 1.0
    assert tokens.remembered(header) is None
    assert tokens.remembered(header) is None


def test_a_revoked_token_admits_nobody_after_a_second(engine: Engine) -> None:
    _, token = add_account(engine, "ada")
    time = Time()
    tokens = Tokens(engine, Clock(engine), seconds=time)
    header = f"Bearer {token}"
    tokens.account(header)
    revoke_tokens(engine, "ada")
    time.now += FRESH_SECONDS / 2
    assert tokens.remembered(header) is not None
    for _ in range(8):  # asked all the time: whoever renews it finds it gone
        time.now += 0.1
        found = tokens.remembered(header)
        if found is None:
            with pytest.raises(RequestError, match="nobody has"):
                tokens.account(header)
            break
    assert time.now - 100.0 < 1.0
    assert tokens.remembered(header) is None
    assert not tokens.known


def test_an_expired_token_admits_nobody_at_once(engine: Engine) -> None:
    add_account(engine, "ada")
    token = add_token(engine, "ada", days=1.0)
    clock = Clock(engine)
    start = clock.now().timestamp()
    tokens = Tokens(engine, clock, seconds=Time())
    assert tokens.account(f"Bearer {token}").name == "ada"
    clock.system = lambda: start + timedelta(days=1, seconds=1).total_seconds()
    with pytest.raises(RequestError, match="expired"):
        tokens.remembered(f"Bearer {token}")


def test_memory_is_bounded_and_holds_no_token(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_TOKENS", 3)
    add_account(engine, "ada")
    time = Time()
    tokens = Tokens(engine, Clock(engine), seconds=time)
    sent = [add_token(engine, "ada") for _ in range(5)]
    for token in sent:
        assert tokens.account(f"Bearer {token}").name == "ada"
    assert len(tokens.known) == 3
    time.now += 1.0
    tokens.account(f"Bearer {sent[4]}")
    assert len(tokens.known) == 1
    assert all(token.encode() not in key for token in sent for key in tokens.known)
    with pytest.raises(RequestError, match="Bearer TOKEN"):
        tokens.remembered(None)
