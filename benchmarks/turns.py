"""Timing of contenders that take turns, so that a busy moment of the machine hits them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def best_seconds(contenders: Mapping[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """Return the shortest time of each contender over `turns` turns, after one that warms up."""
    return _best(contenders, turns, time.perf_counter)


def best_core_seconds(
    contenders: Mapping[str, Callable[[], object]], turns: int
) -> dict[str, float]:
    """Return the same in time that cores worked, which waiting for a busy one does not raise."""
    return _best(contenders, turns, time.process_time)


def _best(
    contenders: Mapping[str, Callable[[], object]], turns: int, clock: Callable[[], float]
) -> dict[str, float]:
    best = dict.fromkeys(contenders, float("inf"))
    for turn in range(turns + 1):
        for name, run in contenders.items():
            start = clock()
            run()
            if turn:
                best[name] = min(best[name], clock() - start)
    return best
