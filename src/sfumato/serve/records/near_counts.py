"""Counts of how near uploads came to a threshold, and nothing else about them.

A block is on record with its score; a share is not, so no row shows that an upload was made. To
predict the effect of a higher threshold, a moderator needs to know how many shares were how near.
Each process counts in memory, by tenths of a sigma (with a policy: of log10 of the share of
strangers) and by the account of the nearest enrollment, and adds its counts to the database every
two seconds. A killed process loses the counts that it had not added.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Engine, select
from sqlalchemy.dialects import postgresql, sqlite

from sfumato.serve.database.db import reading, writing
from sfumato.serve.database.tables import TallyRow
from sfumato.serve.records.rules import MOST_ALPHA

NOBODY: Final = 0
"""In place of an account: no enrollment was near."""
TENTHS: Final = 10
FAR: Final = round(MOST_ALPHA * TENTHS) + 1
"""Beyond every threshold that may be set."""
_NEAR: Final = -FAR
_PAUSE_SECONDS: Final = 2.0

Place = tuple[int, int]
"""An account, and the tenth at or below which the score was."""


def place(account_id: int, score: float) -> Place:
    """Return where an upload is counted. A threshold of t / 10 claims the tenths up to t."""
    # Compared before it is rounded: infinity and NaN have no whole tenths.
    if not score * TENTHS <= FAR - 1:
        return NOBODY, FAR
    return account_id, math.ceil(max(score * TENTHS, _NEAR))


class Tally:
    """The counts of one process, under one policy, on their way to the database.

    `policy` is its digest, or '' without one: scores under two policies are not of one unit.
    """

    def __init__(self, engine: Engine, policy: str = "") -> None:
        self._engine, self._policy = engine, policy
        self._waiting: Counter[Place] = Counter()
        self._lock = threading.Lock()
        self._kept = time.monotonic()

    def count(self, account_id: int, score: float) -> None:
        """Count one upload; `account_id` is whose claim was nearest."""
        with self._lock:
            self._waiting[place(account_id, score)] += 1

    def keep(self, *, now: bool = False) -> None:
        """Add what was counted to the database: `now`, or where the last time is a while ago."""
        if not now and time.monotonic() - self._kept < _PAUSE_SECONDS:
            return
        with self._lock:
            counts, self._waiting = self._waiting, Counter()
            self._kept = time.monotonic()
        try:
            _add(self._engine, self._policy, counts)
        except BaseException:
            with self._lock:
                self._waiting += counts
            raise

    def read(self) -> Counter[Place]:
        """Return all counts, those of other processes up to their last seconds."""
        self.keep(now=True)
        wanted = select(TallyRow.account_id, TallyRow.tenth, TallyRow.uploads)
        with reading(self._engine) as session:
            rows = session.execute(wanted.where(TallyRow.policy == self._policy))
            return Counter({(account, tenth): uploads for account, tenth, uploads in rows})


def _add(engine: Engine, policy: str, counts: Mapping[Place, int]) -> None:
    if not counts:
        return
    # In one order everywhere: two processes that lock rows in different orders would deadlock.
    rows = [
        {"policy": policy, "account_id": account, "tenth": tenth, "uploads": uploads}
        for (account, tenth), uploads in sorted(counts.items())
    ]
    key = [TallyRow.policy, TallyRow.account_id, TallyRow.tenth]
    sqlite_like = engine.dialect.name == "sqlite"
    added = sqlite.insert(TallyRow) if sqlite_like else postgresql.insert(TallyRow)
    summed = {"uploads": TallyRow.uploads + added.excluded.uploads}
    with writing(engine) as session:
        session.execute(added.on_conflict_do_update(index_elements=key, set_=summed), rows)
