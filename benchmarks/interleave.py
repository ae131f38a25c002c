"""Timing of contenders in alternation, so that a busy moment of the machine hits them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def best_seconds(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the shortest time of each contender over `rounds` rounds, after one that warms up."""
    return _best(contenders, rounds, time.perf_counter)


def best_core_seconds(
    contenders: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, float]:
    """Return the same in time that cores worked, which waiting for a busy one does not raise."""
    return _best(contenders, rounds, time.process_time)


def _best(
    contenders: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    best = dict.fromkeys(contenders, float("inf"))
    for number in range(rounds + 1):
        for name, run in contenders.items():
            start = clock()
            run()
            if number:
                best[name] = min(best[name], clock() - start)
    return best
