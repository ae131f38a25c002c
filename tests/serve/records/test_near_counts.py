"""How near uploads came: counted in memory, added up in the database by many processes."""

from __future__ import annotations

import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from sfumato.errors import StorageError
from sfumato.serve.database.db import open_database
from sfumato.serve.database.tables import TallyRow
from sfumato.serve.records import near_counts as module
from sfumato.serve.records.near_counts import FAR, NOBODY, Tally, place


@given(st.floats(-30, 30), st.integers(0, 200))
def test_a_place_says_at_which_thresholds_it_is_claimed(score: float, tenths: int) -> None:
    assert (place(3, score)[1] <= tenths) == (score * 10 <= tenths)


def test_what_no_threshold_reaches_is_nobodys() -> None:
    assert place(3, 20.0) == (3, 200)
    assert place(3, 20.01) == place(3, math.inf) == (NOBODY, FAR)
    assert place(3, -1e9) == place(3, -math.inf) == (3, -FAR)
    assert place(3, math.nan) == (NOBODY, FAR)


def test_two_processes_add_up(database: str) -> None:
    engines = [open_database(database) for _ in range(2)]
    tallies = [Tally(engine) for engine in engines]

    def count(own: Tally) -> None:
        for step in range(60):
            own.count(1 + step % 3, step % 4 / 10)
            if step % 7 == 0:
                own.keep(now=True)

    threads = [threading.Thread(target=count, args=(own,)) for own in tallies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tallies[0].keep(now=True)
    found = tallies[1].read()
    assert sum(found.values()) == 120
    assert found == tallies[0].read()
    assert all(found[account, tenth] == 10 for account in (1, 2, 3) for tenth in range(4))
    for engine in engines:
        engine.dispose()


def test_a_platform_has_more_uploads_than_31_bits(database: str) -> None:
    """From then on PostgreSQL refused all counts, and the moderators' curve was 503 for ever."""
    engine = open_database(database)
    tally = Tally(engine)
    tally.count(7, math.inf)
    tally.keep(now=True)
    with engine.begin() as connection:
        connection.execute(update(TallyRow).values(uploads=2**31 - 1))
    tally.count(7, math.inf)
    assert tally.read() == {(NOBODY, FAR): 2**31}
    engine.dispose()


def test_counts_wait_until_it_is_time(database: str) -> None:
    engine = open_database(database)
    tally, other = Tally(engine), Tally(engine)
    tally.count(1, 0.5)
    tally.keep()
    assert not other.read()
    tally.keep(now=True)
    assert other.read() == {(1, 5): 1}
    engine.dispose()


def test_counts_outlive_a_full_disk(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_database(database)
    tally = Tally(engine)
    tally.count(1, 0.5)

    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(module, "_add", full)
        with pytest.raises(StorageError):
            tally.keep(now=True)
    tally.count(1, 0.5)
    assert tally.read() == {(1, 5): 2}
    engine.dispose()
