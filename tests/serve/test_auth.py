"""Tokens admit whom they were given to, and are stored nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from sfumato.errors import InputError, RequestError
from sfumato.serve.auth import account_named, add_account, authenticate
from sfumato.serve.db import open_database


@pytest.fixture
def engine(tmp_path: Path):
    engine = open_database(f"sqlite:///{tmp_path}/bank.db")
    yield engine
    engine.dispose()


def test_a_token_is_its_accounts_and_nobody_elses(engine: Engine) -> None:
    ada, token = add_account(engine, "ada")
    bob, other = add_account(engine, "bob", moderator=True)
    assert token != other
    assert authenticate(engine, f"Bearer {token}") == ada
    assert authenticate(engine, f"bearer {other}") == bob
    assert account_named(engine, "bob").moderator


def test_a_token_is_not_on_disk(engine: Engine, tmp_path: Path) -> None:
    _, token = add_account(engine, "ada")
    assert token is not None
    for path in tmp_path.iterdir():
        assert token.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic YWRhOnB3", "Bearer nobody", "Bearer \x00é"]
)
def test_anything_else_is_refused(engine: Engine, header: str | None) -> None:
    add_account(engine, "ada")
    add_account(engine, "offline", with_token=False)
    with pytest.raises(RequestError) as caught:
        authenticate(engine, header)
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
