"""Threads that compute on one core each.

A bank's tiles are worked off by them, and pictures are looked at by them. Torch's own threads would
wait for each other after each short operation. Torch releases the interpreter's lock while it
computes, so the threads run at the same time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache

import torch


def run_all(tasks: Iterable[Callable[[], None]], finish: Callable[[], None]) -> None:
    """Run all tasks on as many threads as torch would use, then `finish` once on each of them.

    The first error is raised. The same threads are reused, so torch allocates its per-thread
    scratch memory only once.
    """
    threads = torch.get_num_threads()
    pending = iter(tasks)
    lock = threading.Lock()

    def work() -> None:
        try:
            # Gradient mode belongs to a thread, and with it every operation would be recorded.
            with torch.no_grad():
                while True:
                    with lock:
                        task = next(pending, None)
                    if task is None:
                        return
                    task()
        finally:
            finish()

    # The process id, because a forked child has the pool but none of its threads.
    pool = _pool(threads, os.getpid())
    futures = [pool.submit(work) for _ in range(threads)]
    wait(futures)
    for future in futures:
        future.result()


def one_core_each(
    threads: int, name: str, *, start: Callable[[], None] | None = None
) -> ThreadPoolExecutor:
    """Return a pool whose threads are there already and compute on one core each.

    `start` is called once on each of them.
    """
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, thread_name_prefix=f"sfumato-{name}", initializer=start)
    started = threading.Barrier(threads)

    def alone() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # fixes the number for this thread, before it is put back below
        started.wait()

    for future in [pool.submit(alone) for _ in range(threads)]:
        future.result()
    # The call above also sets the number that threads of others would start with.
    torch.set_num_threads(before)
    return pool


@lru_cache(maxsize=1)
def _pool(threads: int, _process: int) -> ThreadPoolExecutor:
    return one_core_each(threads, "score")
