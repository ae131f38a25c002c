"""The decision about an upload: `filter serve` and `filter check` both take it from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sfumato.filter.neardup import MATCH
from sfumato.serve.bank.interface import Deciding, Upload, find_copy, no_match
from sfumato.serve.pictures.extract import Seen
from sfumato.serve.records.decisions import STRANGER, Decision, Match


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One upload, and who asks."""

    seen: Seen
    """Features and hashes of the upload's pictures."""
    account_id: int
    """Whose enrollments may override, or `STRANGER`."""
    account_name: str | None
    """The name that the roll-out goes by; None where nobody is named."""
    now: datetime
    """The time at which timed disabling is evaluated."""


def decide_each(bank: Deciding, questions: Sequence[Question]) -> list[Decision]:
    """Decide about uploads: matches with a class come first, then near copies.

    Every face and every frame is judged, and any of them blocks it. What shows no face that the
    backbone takes is nobody's class; it may still be a copy.

    An own copy never overrides a match with a class. Otherwise someone could enroll the hash of a
    stolen picture before its owner enrolls, and then upload the picture. Nor can they block the
    owner with it: a copy yields to the uploader's own class (`filter.rule.yielding`).
    """
    uploads = [Upload(q.seen.features, q.account_id, q.now) for q in questions]
    found = iter(bank.decide_each([one for one in uploads if len(one.features)]))
    return [
        _decided(bank, q, next(found) if len(q.seen.features) else no_match()) for q in questions
    ]


def _decided(bank: Deciding, asked: Question, nearest: Match) -> Decision:
    seen = asked.seen
    against, picture = _against(bank, seen, nearest, asked.account_id, asked.now)
    return Decision(
        against=against,
        nearest=nearest,
        frame=None if picture is None else seen.frame(picture),
        enforced=bank.rules.enforces(asked.account_name, asked.now),
        faceless=not len(seen.features),
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
