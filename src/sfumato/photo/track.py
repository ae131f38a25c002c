"""One face of a film: its box at some times, and on a line in between.

Times are whole milliseconds since the film starts, places have tenths of pixels: what a table of
boxes holds, so that a film released by its table is protected as it was before.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sfumato.photo.find.box import Face, between, hull


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A face from when it appears to when it is gone."""

    name: str
    """What tells it from the other tracks of its film: a number, or what a person called it."""
    points: tuple[tuple[int, Face], ...]
    """Where it is, by milliseconds, in their order; one at least."""
    protect: bool
    found: int | None = None
    """Frames in which it was found; None of a track that comes from a table."""

    @property
    def start(self) -> int:
        """The first millisecond."""
        return self.points[0][0]

    @property
    def end(self) -> int:
        """The last millisecond."""
        return self.points[-1][0]

    @property
    def score(self) -> float | int:
        """How sure the detector was at best."""
        return max(face.score for _, face in self.points)

    def at(self, ms: int) -> Face:
        """Return its box at a time; before the first and after the last, where it is then."""
        after = bisect_left(self.points, ms, key=lambda point: point[0])
        if after == 0:
            return self.points[0][1]
        if after == len(self.points):
            return self.points[-1][1]
        (early, one), (late, other) = self.points[after - 1 : after + 1]
        return between(one, other, (ms - early) / (late - early))

    def frames(self, times: Sequence[int]) -> range:
        """Return the frames that it covers of a film whose frames have these times.

        A frame is shown from its time to the next one's, so the one that is shown at the start is
        covered as well.
        """
        first = max(0, bisect_right(times, self.start) - 1)
        return range(first, max(first, bisect_right(times, self.end) - 1) + 1)

    def boxes(self, times: Sequence[int]) -> dict[int, Face]:
        """Return its box by frame, each large enough for its place one frame before and after."""
        frames = self.frames(times)
        placed = {f: self.at(times[f]) for f in frames}
        return {f: hull([placed[g] for g in (f - 1, f, f + 1) if g in placed]) for f in frames}


def track_of(document: dict[str, Any]) -> Track:
    """Return the track that `dataclasses.asdict` took apart.

    Raises:
        ValueError, and others of `MALFORMED`: it is none.
    """
    points = tuple((int(ms), Face(**face)) for ms, face in document.pop("points"))
    return Track(**document, points=points)
