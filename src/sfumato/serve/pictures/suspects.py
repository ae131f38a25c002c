"""Files at which a process ended, and who sent them: they are looked at apart for a while.

Each such end makes small pictures wait for another process. Apart, it costs others' large pictures
at most.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Hashable
from typing import Final

SECONDS: Final = 600.0
MOST: Final = 10_000


class Suspects:
    """Remembers files and their senders for `SECONDS`, the last `MOST` of them. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[Hashable, float] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._until)

    def add(self, content: bytes, sender: str | None) -> None:
        """Remember a file, and who sent it where that is somebody in particular."""
        now = self._clock()
        with self._lock:
            for key in _keys(content, sender):
                self._until.pop(key, None)  # in order of time
                self._until[key] = now + SECONDS
            late = len(self._until) - MOST
            for number, (key, until) in enumerate(list(self._until.items())):
                if until > now and number >= late:
                    break
                del self._until[key]

    def holds(self, content: bytes, sender: str | None) -> bool:
        """Return whether this file or this sender is remembered."""
        if not self._until:  # nearly always: nothing is hashed
            return False
        now = self._clock()
        with self._lock:
            return any(self._until.get(key, now) > now for key in _keys(content, sender))


def _keys(content: bytes, sender: str | None) -> list[Hashable]:
    # A name is a text and a digest bytes, so that neither is taken for the other.
    digest = hashlib.sha256(content).digest()
    return [digest] if sender is None else [digest, sender]
