"""Many readers or one writer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """A lock that readers share and a writer has alone; a waiting writer goes before new readers.

    Not reentrant: a thread that reads must leave before it reads again or writes.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self.writers_waiting = 0
        self._writing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold off writers for the time of a `with` block."""
        with self._changed:
            self._changed.wait_for(lambda: not self._writing and not self.writers_waiting)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold off everyone else for the time of a `with` block."""
        with self._changed:
            self.writers_waiting += 1
            self._changed.wait_for(lambda: not self._writing and not self._readers)
            self.writers_waiting -= 1
            self._writing = True
        try:
            yield
        finally:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
