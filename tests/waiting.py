"""Waiting for what another thread or process does, on a machine that may be busy."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 180.0
"""Seconds: what takes longer hangs, however slow the machine."""


def wait_until(holds: Callable[[], bool], *, every: float = 0.02) -> None:
    """Return as soon as something holds, or fail after all patience is spent."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(every)
