"""Threads that take together what waits together.

One request at a time pays nothing for that. Many at once are worked off with few changes of thread,
each of which makes a thread wait for the interpreter.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from sfumato.errors import ServiceError

Item = TypeVar("Item")

_log = logging.getLogger("sfumato.serve")


class Groups(Generic[Item]):
    """Calls `work` with up to `most` of the items that wait, in order, on the threads of a pool.

    What waits is shared out evenly among the threads. `work` must not fail: it answers for each
    item itself. Thread-safe.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], None],
        pool: ThreadPoolExecutor,
        *,
        threads: int,
        most: int,
    ) -> None:
        self._work, self._pool, self._threads, self.most = work, pool, threads, most
        self._waiting: deque[Item] = deque()
        self._open = True
        self._here = threading.Condition()
        self._ended = [pool.submit(self._run) for _ in range(threads)]

    def put(self, item: Item) -> None:
        """Let an item be worked on.

        Raises:
            ServiceError: it was closed.
        """
        with self._here:
            if not self._open:
                raise ServiceError("the service ends")
            self._waiting.append(item)
            self._here.notify()

    def close(self) -> None:
        """End the threads, after all that waits."""
        with self._here:
            self._open = False
            self._here.notify_all()
        for one in self._ended:
            one.result()
        self._pool.shutdown()

    def _run(self) -> None:
        while some := self._next():
            try:
                self._work(some)
            except BaseException:  # the thread serves everybody else
                _log.exception("a group of %d was not worked on", len(some))

    def _next(self) -> list[Item]:
        with self._here:
            while not self._waiting:
                if not self._open:
                    return []
                self._here.wait()
            share = -(-len(self._waiting) // self._threads)
            return [self._waiting.popleft() for _ in range(min(self.most, share))]
