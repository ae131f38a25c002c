"""The decision about an upload: `filter serve` and `filter check` both take it from here."""

from __future__ import annotations

from datetime import datetime

from sfumato.filter.neardup import MATCH
from sfumato.serve.bank.extract import Seen
from sfumato.serve.bank.interface import Deciding, find_copy, no_match
from sfumato.serve.records.decisions import STRANGER, Decision, Match


def decide(
    bank: Deciding, seen: Seen, *, account_id: int, account_name: str | None, now: datetime
) -> Decision:
    """Decide about an upload: matches with a class come first, then near copies.

    Every face and every frame is judged, and any of them blocks it. What shows no face that the
    backbone takes is nobody's class; it may still be a copy.

    An own copy never overrides a match with a class. Otherwise someone could enroll the hash of a
    stolen picture before its owner enrolls, and then upload the picture. Nor can they block the
    owner with it: a copy yields to the uploader's own class (`filter.rule.yielding`).

    Args:
        bank: The active enrollments, and the rules.
        seen: Features and hashes of the upload's pictures.
        account_id: Whose enrollments may override, or `STRANGER`.
        account_name: The name that the roll-out goes by; None where nobody is named.
        now: The time at which timed disabling is evaluated.
    """
    faceless = not len(seen.features)
    nearest = no_match() if faceless else bank.decide(seen.features, account_id, now)
    against, picture = _against(bank, seen, nearest, account_id, now)
    return Decision(
        against=against,
        nearest=nearest,
        frame=None if picture is None else seen.frame(picture),
        enforced=bank.rules.enforces(account_name, now),
        faceless=faceless,
    )


def _against(
    bank: Deciding, seen: Seen, nearest: Match, account_id: int, now: datetime
) -> tuple[Match | None, int | None]:
    """Return what stands against an upload, and the number of the picture that decided, if any."""
    judged = seen.pictures[nearest.view] if seen.pictures else None
    if nearest.blocks:
        return nearest, judged
    copy = find_copy(bank, seen, account_id, now)
    if copy is None:
        return None, judged
    margin = float(MATCH - copy.distance)
    match = Match(
        claim="copy", enrollment=copy.enrollment, account=STRANGER, margin=margin, score=None
    )
    return match, copy.view
