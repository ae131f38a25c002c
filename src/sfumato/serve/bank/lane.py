"""Threads of their own for work that may take long, and a limit to how much of it waits.

Uploads are decided by the web server's threads. Whatever waits for others' changes there would in
the end take all of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from sfumato.errors import RequestError

Answer = TypeVar("Answer")
_RETRY_SECONDS: Final = 2


class Lane:
    """Runs calls on `threads` threads; `waiting` more wait, `each` of one account at most."""

    def __init__(self, name: str, *, threads: int, waiting: int, each: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"sfumato-{name}")
        self._most, self._each = threads + waiting, each
        self._taken: Counter[int] = Counter()
        self._lock = threading.Lock()

    async def run(self, key: int, work: Callable[[], Answer]) -> Answer:
        """Return what `work` returns, called on one of the threads for the account `key`.

        Raises:
            RequestError: 429 enough of this account's waits already, 503 enough of all.
        """
        return await asyncio.wrap_future(self._submit(key, work))

    def close(self) -> None:
        """End the threads, after what they work on; what waits is given up."""
        self._pool.shutdown(cancel_futures=True)

    def _submit(self, key: int, work: Callable[[], Answer]) -> Future[Answer]:
        with self._lock:
            if self._taken[key] >= self._each:
                raise RequestError(
                    429, "your last changes are still being made", retry_after=_RETRY_SECONDS
                )
            if self._taken.total() >= self._most:
                raise RequestError(
                    503, "too many changes at once; come back", retry_after=_RETRY_SECONDS
                )
            self._taken[key] += 1
        try:
            future = self._pool.submit(work)
        except BaseException:
            self._left(key)
            raise
        future.add_done_callback(lambda _: self._left(key))
        return future

    def _left(self, key: int) -> None:
        with self._lock:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]
