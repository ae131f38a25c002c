"""Threads for small pictures, and others for large ones: who sends large ones makes nobody wait.

Each thread that runs a network keeps memory for its next run: torch's scratch memory, compiled
operations, and the C library's own pool. Web requests come on up to forty threads; each of them
would keep tens of megabytes. Decoding all pictures that arrive at once would take memory, too: a
large one up to 400 MB. So there are as many threads as cores for small pictures. For large ones
there are fewer than that, at a lower priority where the system has one for threads, and few may
wait for them, of one account fewer still.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from sfumato.errors import RequestError

Answer = TypeVar("Answer")

SMALL_BYTES: Final = 2 << 20
"""A larger file is a large picture, before anything of it is read."""
SMALL_PIXELS: Final = 2_000_000
"""A picture with more takes over 50 ms, and so may a file of several."""
MOST_LARGE: Final = 16
"""Large pictures that wait or are looked at."""
MOST_OF_ONE: Final = 2
"""Of one account."""
_MOST_THREADS: Final = 4  # for large pictures, each with its memory
_NICE: Final = 10


class Lanes:
    """Runs what has to be computed of a picture; who asks waits, in order of arrival.

    Thread-safe.
    """

    def __init__(self) -> None:
        cores = os.cpu_count() or 1
        few = min(_MOST_THREADS, max(1, cores - 1))
        self._small = ThreadPoolExecutor(cores, thread_name_prefix="sfumato-picture")
        self._large = ThreadPoolExecutor(
            few, thread_name_prefix="sfumato-large", initializer=_yield_to_others
        )
        self.asking: Counter[str | None] = Counter()
        """Large pictures that are here, by account."""
        self._lock = threading.Lock()

    def small(self, work: Callable[[], Answer]) -> Answer:
        """Return what `work` returns, computed among small pictures."""
        return self._small.submit(work).result()

    def large(self, work: Callable[[], Answer], *, account: str | None) -> Answer:
        """Return what `work` returns, computed among large pictures of this account and others.

        None is nobody in particular, of whom there may be as many as of all.

        Raises:
            RequestError: 429 the account has as many large pictures here as one may, 503 all have.
        """
        with self._lock:
            if account is not None and self.asking[account] >= MOST_OF_ONE:
                raise RequestError(
                    429,
                    f"expected at most {MOST_OF_ONE} large pictures of an account at once; "
                    "send one after the other",
                    retry_after=1,
                )
            if self.asking.total() >= MOST_LARGE:
                raise RequestError(503, "too many large pictures at once; come back in a moment")
            self.asking[account] += 1
        try:
            return self._large.submit(work).result()
        finally:
            with self._lock:
                self.asking -= Counter({account: 1})  # an account that has none is forgotten

    def close(self) -> None:
        """End the threads, after what they work on."""
        self._small.shutdown()
        self._large.shutdown()


def _yield_to_others() -> None:
    # Of a thread alone only Linux knows a priority; threads that it starts inherit it.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
