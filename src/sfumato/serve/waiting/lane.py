"""Threads of their own for work that may take long, and a limit to how much of it waits.

Uploads are decided by a few threads, and everything else by the web server's. Whatever waits there
for others' changes, or for others' large pictures, would in the end take all of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from typing import Final, TypeVar

from sfumato.errors import RequestError, ServiceError

Answer = TypeVar("Answer")
_RETRY_SECONDS: Final = 2


class Lane:
    """Runs calls on a pool; at most `most` are there, running or waiting, `each` of one account.

    A call gives its place back when it ends, or is cancelled before it began. Thread-safe.
    """

    def __init__(self, pool: Executor, *, what: str, most: int, each: int) -> None:
        """`what` names the work in a refusal, in the plural."""
        self._pool, self._what, self._most, self._each = pool, what, most, each
        self.taken: Counter[Hashable] = Counter()
        """The places that are taken, by account."""
        self._lock = threading.Lock()

    async def run(self, key: Hashable, work: Callable[[], Answer]) -> Answer:
        """Return what `work` returns; as `submit`."""
        return await asyncio.wrap_future(self.submit(key, work))

    def submit(self, key: Hashable, work: Callable[[], Answer]) -> Future[Answer]:
        """Call `work` on one of the threads for the account `key`.

        The account None is nobody in particular, of whom there may be as many as of all.

        Raises:
            RequestError: 429 enough of this account's are there already, 503 enough of all.
            ServiceError: it was closed.
        """
        with self._lock:
            if key is not None and self.taken[key] >= self._each:
                raise RequestError(
                    429,
                    f"expected at most {self._each} {self._what} of an account at once; "
                    "send one after the other",
                    retry_after=_RETRY_SECONDS,
                )
            if self.taken.total() >= self._most:
                raise RequestError(
                    503,
                    f"too many {self._what} at once; come back in a moment",
                    retry_after=_RETRY_SECONDS,
                )
            self.taken[key] += 1
        try:
            future = self._pool.submit(work)
        except RuntimeError as error:  # it was closed
            self._left(key)
            raise ServiceError("the service ends; ask again") from error
        # Called exactly once, whether it ends, fails or is cancelled, and at once if it has ended.
        future.add_done_callback(lambda _: self._left(key))
        return future

    def close(self) -> None:
        """End the threads, after what they work on; what waits is given up."""
        self._pool.shutdown(cancel_futures=True)

    def _left(self, key: Hashable) -> None:
        with self._lock:
            self.taken[key] -= 1
            if not self.taken[key]:
                del self.taken[key]
