"""Faces linked over time, so that one that is seen now and then is protected in between as well.

A box of which the detector is less sure goes on a track on which it was sure once. Between two
frames in which it was seen a face lies on a line, and before the first and after the last it stays
for a moment.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float

from sfumato.photo.find.box import Face
from sfumato.photo.track import Track

_NEAR: Final = 1.2  # of a face's size, that its middle may lie from where it was expected
_LIKE: Final = 1.8  # by which its size may change
_STRAY: Final = 0.05
"""Of a face's shorter side, that its box may lie from the line on which points are left out. What
is protected reaches 0.3 beyond it."""


@dataclass(slots=True)
class Linked:
    """One face, by the frame in which it was seen."""

    seen: dict[int, Face] = field(default_factory=dict)

    @property
    def first(self) -> int:
        """The first frame in which it was seen."""
        return next(iter(self.seen))

    @property
    def last(self) -> int:
        """The last frame in which it was seen."""
        return next(reversed(self.seen))

    @property
    def score(self) -> float | int:
        """How sure the detector was at best."""
        return max(face.score for face in self.seen.values())

    def expected(self, frame: int) -> Face:
        """Return where it would be if it moved on as it last did."""
        last = self.seen[self.last]
        before = next((f for f in reversed(self.seen) if f < self.last), None)
        if before is None:
            return last
        steps = (frame - self.last) / (self.last - before)
        across, down = _moved(self.seen[before], last)
        return last.shifted(across * steps, down * steps)

    def track(
        self, times: Sequence[int], *, beyond: int, frames: int, name: str, protect: bool
    ) -> Track:
        """Return it as a track of a film whose frames have these times, in milliseconds.

        It lasts so many frames and `beyond` milliseconds longer on both sides. Its points have
        tenths of pixels, and those that lie nearly on a line between others are left out.
        """
        start, end = max(0, self.first - frames), min(len(times) - 1, self.last + frames)
        start = bisect_left(times, times[start] - beyond)
        end = bisect_right(times, times[end] + beyond) - 1
        placed = {start: self.seen[self.first]} | self.seen | {end: self.seen[self.last]}
        points = [(times[f], _rounded(placed[f], self.score)) for f in sorted(placed)]
        return Track(
            name=name, points=thinned(points, _STRAY), protect=protect, found=len(self.seen)
        )


def link(found: Mapping[int, Sequence[Face]], *, patience: int) -> list[Linked]:
    """Return the faces that were found, by frame, linked over time.

    One ends where it was not seen for `patience` frames. Every box belongs to one; the surest of a
    frame choose first.
    """
    done: list[Linked] = []
    going: list[Linked] = []
    for frame in sorted(found):
        done += [one for one in going if frame - one.last > patience]
        going = [one for one in going if frame - one.last <= patience]
        free = list(going)
        for face in sorted(found[frame], key=lambda face: -face.score):
            nearest = min(
                (one for one in free if _follows(one, face, frame)),
                key=lambda one: _distance(one.expected(frame), face),
                default=None,
            )
            if nearest is None:
                going.append(Linked({frame: face}))
            else:
                free.remove(nearest)
                nearest.seen[frame] = face
    return done + going


def thinned(points: Sequence[tuple[int, Face]], stray: float | int) -> tuple[tuple[int, Face], ...]:
    """Return the points without those whose boxes lie nearly on the line between others.

    No side of a box that is left out lies further from the line than `stray` times the box's
    shorter side (after Ramer, Douglas and Peucker).
    """
    times = np.array([ms for ms, _ in points], float)
    places = np.array([(f.left, f.top, f.right, f.bottom) for _, f in points], float)
    sizes = np.array([min(f.width, f.height) for _, f in points], float)
    kept = _kept(times, places, sizes * stray)
    return tuple(point for point, keep in zip(points, kept.tolist(), strict=True) if keep)


def _kept(
    times: Float[np.ndarray, "n"], places: Float[np.ndarray, "n 4"], most: Float[np.ndarray, "n"]
) -> Bool[np.ndarray, "n"]:
    kept = np.zeros(len(times), bool)
    kept[[0, -1]] = True
    open_ = [(0, len(times) - 1)]
    while open_:
        first, last = open_.pop()
        inner = slice(first + 1, last)
        if last - first < 2:
            continue
        share = ((times[inner] - times[first]) / (times[last] - times[first]))[:, None]
        line = places[first] + share * (places[last] - places[first])
        apart = np.abs(places[inner] - line).max(1) / most[inner]
        worst = first + 1 + int(apart.argmax())
        if apart.max() > 1:
            kept[worst] = True
            open_ += [(first, worst), (worst, last)]
    return kept


def _rounded(face: Face, score: float | int) -> Face:
    """Return a box as a table has it: at least a tenth of a pixel wide and high."""
    left, top, right, bottom = (
        round(place, 1) for place in (face.left, face.top, face.right, face.bottom)
    )
    right, bottom = max(right, left + 0.1), max(bottom, top + 0.1)
    return replace(
        face, left=left, top=top, right=round(right, 1), bottom=round(bottom, 1),
        score=round(score, 3),
    )  # fmt: skip


def _follows(one: Linked, face: Face, frame: int) -> bool:
    last = one.seen[one.last]
    size, other = (max(face.width, face.height, 1.0) for face in (last, face))
    if max(size, other) > _LIKE * min(size, other):
        return False
    near = min(_distance(place, face) for place in (last, one.expected(frame)))
    return near <= _NEAR * max(size, other)


def _moved(one: Face, other: Face) -> tuple[float, float]:
    """Return how far the middle moved to the right and down."""
    across = (other.left + other.right - one.left - one.right) / 2
    down = (other.top + other.bottom - one.top - one.bottom) / 2
    return float(across), float(down)


def _distance(one: Face, other: Face) -> float:
    across, down = _moved(one, other)
    return float((across**2 + down**2) ** 0.5)
