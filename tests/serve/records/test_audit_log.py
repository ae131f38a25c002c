"""The audit log only grows, and a change that got past the database shows."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from sfumato.errors import BankError
from sfumato.serve.database.db import changing, open_database, writing
from sfumato.serve.records.audit_log import events, record, verify


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = open_database(database)
    yield engine
    engine.dispose()


def write(engine: Engine, subject: str) -> None:
    with changing(engine) as session:
        detail = {"alpha": 1.5, "until": None}
        record(session, at="2026", actor="ada", action="test", subject=subject, detail=detail)


def test_entries_come_back_in_order(engine: Engine) -> None:
    for number in range(5):
        write(engine, str(number))
    found = list(events(engine))
    assert [event.subject for event in found] == list("01234")
    assert found[0].detail == '{"alpha": 1.5, "until": null}'
    assert list(events(engine, after=found[2].sequence, limit=1)) == [found[3]]
    assert verify(engine) == (5, found[-1].digest)


def test_a_change_that_failed_leaves_no_entry(engine: Engine) -> None:
    def fails() -> None:
        with writing(engine) as session:
            record(session, at="2026", actor="ada", action="test", subject="x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert verify(engine)[0] == 0


@pytest.mark.parametrize("change", ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit"])
def test_the_database_refuses_to_change_it(engine: Engine, change: str) -> None:
    write(engine, "x")
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(text(change))
    assert verify(engine)[0] == 1


@pytest.mark.parametrize(
    "change",
    ["UPDATE audit SET subject = '9' WHERE sequence = 2", "DELETE FROM audit WHERE sequence = 2"],
)
def test_whoever_gets_around_that_leaves_a_break(engine: Engine, change: str) -> None:
    for number in range(4):
        write(engine, str(number))
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            for name in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER audit_{name}"))
        else:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        connection.execute(text(change))
    with pytest.raises(BankError, match="altered at or before entry"):
        verify(engine)


def test_writers_at_once_make_one_chain(engine: Engine) -> None:
    threads = [
        threading.Thread(target=lambda n=n: [write(engine, f"{n}.{k}") for k in range(8)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(engine)[0] == 32
