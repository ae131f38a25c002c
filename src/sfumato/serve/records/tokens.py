"""Whom tokens admit, remembered for less than a second: most requests come with the same few."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from sfumato.serve.database.clock import Clock
from sfumato.serve.records.auth import Account, Admitted, admitted, digest_of, find_token

MOST_TOKENS: Final = 10_000
FRESH_SECONDS: Final = 0.4
"""After this one request reads the database again, while others go by what it said before."""
_KEPT_SECONDS: Final = 0.8  # and after this all do: with the time that reading takes, a second


@dataclass(slots=True)
class _Known:
    admitted: Admitted
    read: float
    """When the database was about to be asked, by a clock that only runs forward."""
    renewed: bool = False
    """Whether somebody is asking again."""


class Tokens:
    """The accounts of tokens. A revoked token admits nobody after a second, an expired one at once.

    What is kept is the token's hash, as in the database. Thread-safe.
    """

    def __init__(
        self, engine: Engine, clock: Clock, *, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine, self._clock, self._seconds = engine, clock, seconds
        self.known: dict[bytes, _Known] = {}
        self._lock = threading.Lock()

    def remembered(self, header: str | None) -> Account | None:
        """Return the account of a header, None where the database has to be asked; never waits.

        Raises:
            RequestError: (401) there is no such header, or the token has expired.
        """
        digest, now = digest_of(header), self._seconds()
        with self._lock:
            found = self.known.get(digest)
            if found is None or now - found.read > _KEPT_SECONDS:
                return None
            if now - found.read > FRESH_SECONDS and not found.renewed:
                found.renewed = True
                return None
        return admitted(found.admitted, self._clock)

    def account(self, header: str | None) -> Account:
        """Return the account of an `Authorization: Bearer TOKEN` header, from the database.

        Raises:
            RequestError: (401) there is no such header, nobody has this token, or it has expired.
        """
        digest, now = digest_of(header), self._seconds()
        try:
            found = find_token(self._engine, digest)
        except BaseException:
            with self._lock:
                self.known.pop(digest, None)
            raise
        with self._lock:
            if len(self.known) >= MOST_TOKENS:
                self.known = {k: v for k, v in self.known.items() if now - v.read <= _KEPT_SECONDS}
            if len(self.known) < MOST_TOKENS:
                self.known[digest] = _Known(found, now)
        return admitted(found, self._clock)
