"""When a near copy yields: somebody may have enrolled the hashes of another person's pictures.

The platform has no pictures, so it cannot tell whether hashes belong to the class that they came
with. If they do, the enrollment's own network nearly always claims the copy as well. So a copy
that its own enrollment does not claim yields to an enrollment of the uploader that does claim it,
with the smaller error, and that may override the other (the pair is not contested).
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClassScore:
    """What one enrollment's network says of one picture."""

    enrollment: str
    error: float
    claims: bool


def yields(
    copied: str, scores: Iterable[ClassScore], contested: Container[tuple[str, str]]
) -> bool:
    """Return whether a near copy of `copied` does not stand against its uploader.

    Args:
        copied: The enrollment whose hash is near.
        scores: What it says of the picture, and what all of the uploader's enrollments say.
        contested: Pairs (k, v): k may not override v.
    """
    by_name = {score.enrollment: score for score in scores}
    theirs = by_name.pop(copied, None)
    if theirs is None or theirs.claims:
        return False
    return any(
        own.claims and own.error < theirs.error and (own.enrollment, copied) not in contested
        for own in by_name.values()
    )
