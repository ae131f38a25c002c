"""Ends processes that have had something for too long: one thread sees to all of them.

One that was stopped, or that waits for nothing, would keep its thread for ever. A thread that
writes to it or reads from it goes on as soon as it has ended.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol, runtime_checkable

_EVERY_SECONDS: Final = 0.25


@runtime_checkable
class Watched(Protocol):
    """What may take too long."""

    due: float
    """When it must have come to an end, by `time.monotonic`; infinite while it has nothing."""

    def kill(self) -> None:
        """End its process at once; from another thread than the one that waits for it."""
        ...


class Watch:
    """A thread that kills what is overdue, until it is closed."""

    def __init__(
        self, watched: Sequence[Watched], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._watched, self._clock = watched, clock
        self._by = math.inf
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sfumato-watch", daemon=True)
        self._thread.start()

    def end_all(self, seconds: float) -> None:
        """Let nothing go on for longer than so many seconds from now."""
        self._by = self._clock() + seconds

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(_EVERY_SECONDS):
            now = self._clock()
            for one in self._watched:
                if one.due < math.inf and min(one.due, self._by) < now:
                    one.kill()
