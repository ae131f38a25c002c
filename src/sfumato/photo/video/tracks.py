"""Faces linked over time, so that one that is seen now and then is protected in between as well.

A face counts where the detector was sure of it once: from there its track goes on through boxes of
which it is less sure. Between two frames in which it was seen a face lies on a line, and before the
first and after the last it stays for a moment. What moves fast gets a larger box.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sfumato.photo.find.box import Face

_NEAR: Final = 1.2  # of a face's size, that its middle may lie from where it was expected
_LIKE: Final = 1.8  # by which its size may change


@dataclass(slots=True)
class Track:
    """One face, by the frame in which it was seen."""

    seen: dict[int, Face] = field(default_factory=dict)

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
        before = [f for f in self.seen if f < self.last][-1:]
        if not before:
            return last
        steps = (frame - self.last) / (self.last - before[0])
        across, down = _moved(self.seen[before[0]], last)
        return last.shifted(across * steps, down * steps)

    def at(self, frame: int) -> Face | None:
        """Return its box in a frame, on a line between those where it was seen; None outside."""
        if frame in self.seen:
            return self.seen[frame]
        before = max((f for f in self.seen if f < frame), default=None)
        after = min((f for f in self.seen if f > frame), default=None)
        if before is None or after is None:
            return None
        share = (frame - before) / (after - before)
        return _between(self.seen[before], self.seen[after], share)

    def boxes(self, *, beyond: int, frames: int) -> dict[int, Face]:
        """Return its box in each frame, `beyond` frames before and after it was seen included.

        Each is large enough for its place one frame before and after.
        """
        first, last = next(iter(self.seen)), self.last
        lined = {f: face for f in range(first, last + 1) if (face := self.at(f)) is not None}
        start, end = max(0, first - beyond), min(frames - 1, last + beyond)
        lined |= dict.fromkeys(range(start, first), self.seen[first])
        lined |= dict.fromkeys(range(last + 1, end + 1), self.seen[last])
        return {
            f: _hull([lined[g] for g in (f - 1, f, f + 1) if g in lined])
            for f in range(start, end + 1)
        }


def link(found: Mapping[int, Sequence[Face]], *, patience: int) -> list[Track]:
    """Return the tracks of faces that were found, by frame.

    A track ends where its face was not seen for `patience` frames. Every box is in one track; the
    surest of a frame choose first.
    """
    done: list[Track] = []
    going: list[Track] = []
    for frame in sorted(found):
        done += [track for track in going if frame - track.last > patience]
        going = [track for track in going if frame - track.last <= patience]
        free = list(going)
        for face in sorted(found[frame], key=lambda face: -face.score):
            track = min(
                (track for track in free if _follows(track, face, frame)),
                key=lambda track: _distance(track.expected(frame), face),
                default=None,
            )
            if track is None:
                going.append(Track({frame: face}))
            else:
                free.remove(track)
                track.seen[frame] = face
    return done + going


def protected_boxes(tracks: Sequence[Track], *, beyond: int, frames: int) -> dict[int, list[Face]]:
    """Return the boxes of each frame."""
    boxes: dict[int, list[Face]] = {}
    for track in tracks:
        for frame, face in track.boxes(beyond=beyond, frames=frames).items():
            boxes.setdefault(frame, []).append(face)
    return boxes


def _follows(track: Track, face: Face, frame: int) -> bool:
    last = track.seen[track.last]
    size, other = (max(one.width, one.height, 1.0) for one in (last, face))
    if max(size, other) > _LIKE * min(size, other):
        return False
    near = min(_distance(place, face) for place in (last, track.expected(frame)))
    return near <= _NEAR * max(size, other)


def _moved(one: Face, other: Face) -> tuple[float, float]:
    """Return how far the middle moved to the right and down."""
    across = (other.left + other.right - one.left - one.right) / 2
    down = (other.top + other.bottom - one.top - one.bottom) / 2
    return float(across), float(down)


def _distance(one: Face, other: Face) -> float:
    across, down = _moved(one, other)
    return float((across**2 + down**2) ** 0.5)


def _between(one: Face, other: Face, share: float) -> Face:
    def mixed(a: float | int, b: float | int) -> float:
        return float(a + (b - a) * share)

    return Face(
        left=mixed(one.left, other.left),
        top=mixed(one.top, other.top),
        right=mixed(one.right, other.right),
        bottom=mixed(one.bottom, other.bottom),
        score=min(one.score, other.score),
    )


def _hull(faces: Sequence[Face]) -> Face:
    return Face(
        left=min(face.left for face in faces),
        top=min(face.top for face in faces),
        right=max(face.right for face in faces),
        bottom=max(face.bottom for face in faces),
        score=max(face.score for face in faces),
    )
