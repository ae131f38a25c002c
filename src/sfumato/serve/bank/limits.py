"""How often one account may ask. Each process counts for itself."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Final

from sfumato.errors import RequestError

MOST_KEYS: Final = 10_000


class RateLimit:
    """At most `per_minute` requests a key on average, and `burst` at once.

    The generic cell rate algorithm: one number a key, when its next request would come if all came
    evenly. It may lie ahead of now by no more than the burst.
    """

    def __init__(
        self, per_minute: int, burst: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = 60.0 / per_minute
        self._slack = self._interval * burst
        self._clock = clock
        self.due_at: dict[int, float] = {}
        self._lock = threading.Lock()

    def check(self, key: int) -> None:
        """Count one request.

        Raises:
            RequestError: 429 it is one too many; it says when to come back.
        """
        with self._lock:
            now = self._clock()
            due = max(self.due_at.get(key, now), now) + self._interval
            wait = due - now - self._slack
            # Rounding must not refuse the last of a burst.
            if wait > 1e-6 * self._interval:
                raise RequestError(
                    429,
                    f"too many requests of this account; wait {math.ceil(wait)} s",
                    retry_after=math.ceil(wait),
                )
            self.due_at[key] = due
            if len(self.due_at) > MOST_KEYS:
                self.due_at = {k: at for k, at in self.due_at.items() if at > now}
