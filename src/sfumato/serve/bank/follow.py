"""Keeps a process's bank in memory up to date with a database that several processes change.

Each change is a row with a number. A process remembers the number of the last change that it
applied, asks for later ones several times a second, and applies them in order, one whole change at
a time. Applying a change twice has the same effect as applying it once, so the bank may be loaded
while other processes change it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sfumato.errors import EnrollmentError, ServiceError, SfumatoError
from sfumato.filter.enrollment import open_enrollment
from sfumato.serve.bank.interface import Deciding
from sfumato.serve.bank.memory import damaged
from sfumato.serve.records.rules import read_rules
from sfumato.serve.records.store import Change, Store

PAUSE_SECONDS: Final = 0.2
_STALE_SECONDS: Final = 5.0
_log = logging.getLogger("sfumato.serve")


class Follower:
    """Applies to `state` what happened in the database after the change `seen`."""

    def __init__(
        self,
        store: Store,
        state: Deciding,
        *,
        seen: int,
        also: Callable[[], None] = lambda: None,
    ) -> None:
        """`also` is called in the thread after each time that it caught up."""
        self._store, self._state, self._seen, self._also = store, state, seen, also
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._fresh = time.monotonic()
        self._thread: threading.Thread | None = None

    def catch_up(self) -> None:
        """Apply every change up to now.

        Raises:
            ServiceError: the database does not answer.
            BankError: an enrollment that came is damaged.
        """
        with self._lock:
            for change in self._store.changes(self._seen):
                self._apply(change)
                self._seen = change.sequence
            self._fresh = time.monotonic()

    @property
    def seen(self) -> int:
        """The number of the last change that is applied; it only grows."""
        return self._seen

    @contextmanager
    def paused(self) -> Iterator[int]:
        """Hold off changes for the time of a `with` block; yield the number of the last one."""
        with self._lock:
            yield self._seen

    def start(self) -> None:
        """Catch up several times a second, in a thread, until `stop`."""
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; it has touched the database for the last time when this returns."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def check_fresh(self) -> None:
        """Raise a ServiceError where this process has lost touch with the database."""
        behind = time.monotonic() - self._fresh
        if behind > _STALE_SECONDS:
            raise ServiceError(f"the bank was last compared with the database {behind:.0f} s ago")

    def _run(self) -> None:
        trouble = ""
        while not self._ended.wait(PAUSE_SECONDS):
            try:
                self.catch_up()
                self._store.clock.keep()
                self._also()
            except SfumatoError as error:
                if str(error) != trouble:
                    _log.error("cannot follow the database: %s", error)
                trouble = str(error)
            else:
                if trouble:
                    _log.info("following the database again")
                trouble = ""

    def _apply(self, change: Change) -> None:
        apply: dict[str, Callable[[str], None]] = {
            "add": self._add,
            "remove": self._state.remove,
            "rules": self._read_rules,
        }
        apply[change.kind](change.enrollment)

    def _add(self, enrollment_id: str) -> None:
        found = self._store.find(enrollment_id)
        if found is None or found[1].status != "active":
            return  # erased since; that change comes later
        try:
            enrollment = open_enrollment(found[0].content).enrollment
        except EnrollmentError as error:
            raise damaged(enrollment_id, error) from error
        contests = self._store.contests(enrollment_id)
        stored = found[0]
        self._state.add(
            enrollment_id, enrollment, stored.account_id, contests, arrival=stored.arrival
        )

    def _read_rules(self, _: str) -> None:
        self._state.rules = read_rules(self._store)
