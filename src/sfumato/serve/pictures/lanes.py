"""Who looks at small pictures, and who at large ones: who sends large ones makes nobody wait.

Each thread that runs a network keeps memory for its next run: torch's scratch memory, compiled
operations, and the C library's own pool. Decoding all pictures that arrive at once would take
memory, too: a large one up to 400 MB. So there are as many threads as cores for small pictures. For
large ones there are fewer than that, at a lower priority where the system has one for threads, and
few may wait for them, of one account fewer still. Each computes on one core: torch's own threads
would wait for each other. Of processes there are as many (`processes`).
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final

from sfumato.filter.bank.workers import one_core_each
from sfumato.serve.waiting.lane import Lane

SMALL_BYTES: Final = 2 << 20
"""A larger file is a large picture, before anything of it is read."""
SMALL_PIXELS: Final = 2_000_000
"""A picture with more takes over 50 ms, and so may a file of several."""
MOST_LARGE: Final = 16
"""Large pictures that wait or are looked at."""
MOST_OF_ONE: Final = 2
"""Of one account."""
_MOST_THREADS: Final = 4  # for large pictures, each with its memory
NICE: Final = 10
"""By how much large pictures give way to small ones."""


def small_threads() -> int:
    """Return how many threads look at small pictures: one a core."""
    return os.cpu_count() or 1


def small_pool() -> ThreadPoolExecutor:
    """Return the threads that look at small pictures."""
    return one_core_each(small_threads(), "picture")


def large_threads(small: int) -> int:
    """Return how many look at large pictures where so many look at small ones."""
    return min(_MOST_THREADS, max(1, small - 1))


def large_lane() -> Lane:
    """Return the lane in which threads of this process look at large pictures."""
    few = large_threads(small_threads())
    return lane_of(one_core_each(few, "large", start=_yield_to_others))


def lane_of(pool: Executor) -> Lane:
    """Return the lane for large pictures on a pool."""
    return Lane(pool, what="large pictures", most=MOST_LARGE, each=MOST_OF_ONE)


def _yield_to_others() -> None:
    # Of a thread alone only Linux knows a priority; threads that it starts inherit it.
    if sys.platform == "linux":
        mine = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, mine, os.getpriority(os.PRIO_PROCESS, mine) + NICE)
