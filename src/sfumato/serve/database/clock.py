"""A clock for expiry and timed disabling that never runs backwards, not even after a restart.

If the system's clock were set back, expired tokens would be valid again. So the database stores
the latest time that any process saw. Time continues from there by the monotonic clock until the
system's clock catches up. A system's clock that ran ahead and was corrected leaves this one ahead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Engine, select, update

from sfumato.serve.database.db import reading, writing
from sfumato.serve.database.tables import ClockRow

_KEEP_SECONDS: Final = 5.0  # how much of the past a restart with a wrong clock may gain


def as_text(at: datetime) -> str:
    """Return a time as the database stores it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


class Clock:
    """One process's clock over one database."""

    def __init__(self, engine: Engine, *, system: Callable[[], float] = time.time) -> None:
        self._engine, self.system = engine, system
        with reading(engine) as session:
            self.kept = datetime.fromisoformat(session.scalars(select(ClockRow.latest)).one())
        self._base = max(self.kept, self._read())
        self._started = time.monotonic()

    def now(self) -> datetime:
        """Return the time, in UTC."""
        since = timedelta(seconds=time.monotonic() - self._started)
        return max(self._base + since, self._read())

    def text(self) -> str:
        """Return the time as the database stores it."""
        return as_text(self.now())

    def keep(self) -> None:
        """Store the time where it has moved on enough; called now and then."""
        now = self.now()
        if now - self.kept < timedelta(seconds=_KEEP_SECONDS):
            return
        latest = as_text(now)
        with writing(self._engine) as session:
            session.execute(update(ClockRow).where(ClockRow.latest < latest).values(latest=latest))
        self.kept = now

    def _read(self) -> datetime:
        return datetime.fromtimestamp(self.system(), UTC)
