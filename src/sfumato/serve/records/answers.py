"""What an account is told of its enrollments: late, and never why.

Whoever is told at once which enrollment counts and which waits can search for the widest claim
that counts. So the database has the status at once, the bank goes by it at once, and moderators see
it at once; the account sees `pending` until a time that differs from enrollment to enrollment.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

from sfumato.serve.records.store import Entry
from sfumato.serve.wire import EnrollmentAnswer, Shown

_REASONS: Final[dict[Shown, str]] = {
    "pending": "it was received; whether it counts shows later",
    "active": "it counts",
    "review": "a moderator will decide",
}
"""One text for each status, whatever the cause."""
_CUT: Final = 1 << 64


def answer_of(entry: Entry, *, seed: str, minutes: float, now: datetime) -> EnrollmentAnswer:
    """Return an enrollment as its account sees it.

    Args:
        entry: The enrollment.
        seed: A secret of the bank, from which the time follows: asking again does not help.
        minutes: The least time until the status shows, and half of the longest.
        now: The time.
    """
    shown: Shown = "active" if entry.status == "active" else "review"
    if now < _shows(entry, seed, minutes):
        shown = "pending"
    return EnrollmentAnswer(
        id=entry.id, status=shown, reason=_REASONS[shown], created=entry.created
    )


def _shows(entry: Entry, seed: str, minutes: float) -> datetime:
    digest = hashlib.sha256(f"{seed}\x00{entry.id}".encode()).digest()
    share = int.from_bytes(digest[:8]) / _CUT
    return datetime.fromisoformat(entry.created) + timedelta(minutes=minutes * (1 + share))
