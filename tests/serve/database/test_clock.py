"""Time does not run backwards, not even over a restart with a clock set back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from sfumato.serve.database.clock import Clock
from sfumato.serve.database.db import open_database


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = open_database(database)
    yield engine
    engine.dispose()


def test_a_clock_set_back_is_not_followed(engine: Engine) -> None:
    now = Clock(engine).now().timestamp()
    system = [now + 1000]
    clock = Clock(engine, system=lambda: system[0])
    before = clock.now()
    system[0] = now - 50_000
    assert clock.now() >= before
    first, second = clock.now(), clock.now()
    assert first <= second
    system[0] = now + 2000
    assert (clock.now() - before).total_seconds() >= 999


def test_a_restart_with_a_clock_set_back_goes_on_from_where_it_was(engine: Engine) -> None:
    now = Clock(engine).now().timestamp()
    ahead = Clock(engine, system=lambda: now + 90_000)
    ahead.keep()
    late = ahead.kept
    again = Clock(engine, system=lambda: now - 90_000)
    assert again.now() >= late


def test_an_older_process_does_not_set_the_mark_back(engine: Engine) -> None:
    now = Clock(engine).now().timestamp()
    behind = Clock(engine, system=lambda: now + 100)
    ahead = Clock(engine, system=lambda: now + 90_000)
    ahead.keep()
    behind.keep()
    assert Clock(engine, system=lambda: now).now() >= ahead.kept
