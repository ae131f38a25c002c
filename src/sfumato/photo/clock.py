"""Times inside a film, in whole milliseconds since it starts, as texts.

Tables hold seconds (`75.5`), which no spreadsheet rewrites. People read `01:15.500` in a player,
so both are read.
"""

from __future__ import annotations

import re
from typing import Final

LATEST: Final = 1_000_000_000
"""Milliseconds that a time has at most: eleven days."""
_CLOCK: Final = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,5}):)?(\d{1,7}(?:\.\d{0,9})?)", re.ASCII)


def clock(ms: int) -> str:
    """Return a time as people read it: minutes, seconds and thousandths, `01:15.500`."""
    minutes, rest = divmod(ms, 60_000)
    return f"{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def seconds(ms: int) -> str:
    """Return a time as tables have it: `75.500`."""
    return f"{ms // 1000}.{ms % 1000:03d}"


def read_time(text: str) -> int:
    """Return the milliseconds of `75.5`, `1:15.5` or `0:01:15.5`.

    Raises:
        ValueError: it is none of these, or later than `LATEST`.
    """
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        raise ValueError("expected seconds (75.5) or minutes and seconds (1:15.5)")
    hours, minutes, rest = found.groups()
    ms = round(1000 * (3600 * int(hours or 0) + 60 * int(minutes or 0) + float(rest)))
    if ms > LATEST:
        raise ValueError(f"expected at most {LATEST // 1000:,} seconds")
    return ms
