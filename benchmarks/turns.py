"""Timing of contenders that take turns, so that a busy moment of the machine hits them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def best_seconds(contenders: Mapping[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """Return the shortest time of each contender over `turns` turns, after one that warms up."""
    best = dict.fromkeys(contenders, float("inf"))
    for turn in range(turns + 1):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            if turn:
                best[name] = min(best[name], time.perf_counter() - start)
    return best
