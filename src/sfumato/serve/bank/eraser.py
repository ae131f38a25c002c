"""Rids the database's files of what was erased, in a thread, however often it takes.

The records of erasures say what is to be done, so one that a killed process began is finished by
the next one, or by another process on the same database.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from typing import Final

from sqlalchemy import Engine

from sfumato.errors import SfumatoError
from sfumato.serve.database.erasing import forget
from sfumato.serve.records.erasures import erasure, finish
from sfumato.serve.records.store import Store

_LOOK_SECONDS: Final = 5.0  # for what other processes erased, and could not finish
_FIRST_SECONDS: Final = 0.05
_REST: Final = 4  # a try may hold others up: so many times as long it leaves them alone
_log = logging.getLogger("sfumato.serve")


class Eraser:
    """Tries until nothing that was erased is left in the files of `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tried = threading.Condition()
        self._asked = threading.Event()
        self._ended = threading.Event()
        self._spent = 0.0
        self._thread = threading.Thread(target=self._run, name="eraser", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier process left."""
        self._asked.set()
        self._thread.start()

    def stop(self) -> None:
        """End the thread; it has touched the database for the last time when this returns."""
        self._ended.set()
        self._asked.set()
        if self._thread.ident is not None:
            self._thread.join()

    def ask(self) -> None:
        """Try now."""
        self._asked.set()

    def settled(self, account_id: int, enrollment_id: str, *, seconds: float) -> bool:
        """Return whether an account's erasure is done, or gets done within some seconds."""
        deadline = time.monotonic() + seconds
        self.ask()
        with self._tried:
            while True:
                found = erasure(self._store, account_id, enrollment_id)
                if found is None or found.done is not None:
                    return True
                left = deadline - time.monotonic()
                if left <= 0 or self._ended.is_set():
                    return False
                self._tried.wait(left)

    def _run(self) -> None:
        pause = _FIRST_SECONDS
        while not self._ended.is_set():
            self._asked.wait(_LOOK_SECONDS)
            self._asked.clear()
            self._spent = 0.0
            done = self._try()
            with self._tried:
                self._tried.notify_all()
            if done:
                pause = _FIRST_SECONDS
            else:
                self._asked.set()
                pause = min(2 * pause, _LOOK_SECONDS)
            self._ended.wait(max(_REST * self._spent, 0.0 if done else pause))

    def _try(self) -> bool:
        try:
            return not self._ended.is_set() and finish(self._store, self._rid)
        except SfumatoError as error:
            _log.error("cannot rid the database of what was erased yet: %s", error)
            return False

    def _rid(self, engine: Engine, erased: Collection[str]) -> Collection[str]:
        began = time.monotonic()
        try:
            return forget(engine, erased)
        finally:
            self._spent = time.monotonic() - began
