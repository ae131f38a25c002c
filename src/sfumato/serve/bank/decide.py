"""The decision about an upload: `filter serve` and `filter check` both take it from here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sfumato.filter.neardup import MATCH
from sfumato.filter.rule.guard import BLOCKED, SHARED
from sfumato.serve.bank.extract import Seen
from sfumato.serve.bank.interface import Deciding, Nearest, find_copy
from sfumato.serve.records.decisions import Against

OBSERVED: Final = "would block, but the rule is not enforced"
"""What the platform is told where something stands against an upload that is shared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Share or block, and why."""

    against: Against | None
    """What stands against the upload, whether or not that is enforced."""
    nearest: Nearest
    """The claim of a class that is nearest to the upload."""
    frame: int | None
    """The frame of what stands against it, or of what is nearest; None of a still picture."""
    enforced: bool
    """Whether the rules block this uploader."""

    @property
    def blocked(self) -> bool:
        """Whether the upload is stopped."""
        return self.against is not None and self.enforced

    @property
    def decision(self) -> Literal["share", "block"]:
        """The decision in a word."""
        return "block" if self.blocked else "share"

    @property
    def reason(self) -> str:
        """What the uploader is told: neither whose pictures they are, nor of a roll-out."""
        return BLOCKED if self.blocked else SHARED

    @property
    def explanation(self) -> str:
        """What the platform is told."""
        return self.reason if self.against is None or self.enforced else OBSERVED

    @property
    def enrollment(self) -> str:
        """The enrollment that stands against the upload, else the nearest one, or ''."""
        return self.nearest.enrollment if self.against is None else self.against.enrollment

    @property
    def margin(self) -> float:
        """Sigmas inside (>= 0) or outside that claim; bits inside the claim of a near copy."""
        return self.nearest.decision.margin if self.against is None else self.against.margin


def decide(
    bank: Deciding, seen: Seen, *, account_id: int, account_name: str | None, now: datetime
) -> Outcome:
    """Decide about an upload: a claim of a class counts first, then one of a near copy.

    An own copy never overrides a claim of the class: whoever enrolled a stolen picture's hash
    before its owner enrolled would win by it.

    Args:
        bank: The enrollments that count, and the rules.
        seen: What the upload shows.
        account_id: Whose enrollments may override, or `STRANGER`.
        account_name: The name that the roll-out goes by; None where nobody is named.
        now: The moment for which disablings are asked.
    """
    nearest = bank.decide(seen.features, account_id, now)
    against, view = _against(bank, seen, nearest, account_id, now)
    enforced = bank.rules.enforces(account_name, now)
    return Outcome(against=against, nearest=nearest, frame=seen.frame(view), enforced=enforced)


def _against(
    bank: Deciding, seen: Seen, nearest: Nearest, account_id: int, now: datetime
) -> tuple[Against | None, int]:
    """Return what stands against an upload, and which of its pictures decided."""
    if nearest.decision.blocked:
        margin = nearest.decision.margin
        return Against("class", nearest.enrollment, margin, nearest.score), nearest.view
    copy = find_copy(bank, seen.hashes, account_id, now)
    if copy is None:
        return None, nearest.view
    return Against("copy", copy.enrollment, float(MATCH - copy.distance), None), copy.view
