"""What was seen in a film: its frames' times, and its tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sfumato.photo.find.box import Face
from sfumato.photo.track import Track, track_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What was seen in a film."""

    size: tuple[int, int]
    """Width and height of its upright frames."""
    times: tuple[int, ...]
    """Of each frame, in milliseconds since it starts."""
    tracks: tuple[Track, ...]

    def boxes(self) -> dict[int, dict[str, Face]]:
        """Return what is protected, by frame and by the track's name."""
        boxes: dict[int, dict[str, Face]] = {}
        for one in self.tracks:
            for frame, face in one.boxes(self.times).items() if one.protect else ():
                boxes.setdefault(frame, {})[one.name] = face
        return boxes


def watched_of(document: dict[str, Any]) -> Watched:
    """Return what `dataclasses.asdict` took apart.

    Raises:
        ValueError, and others of `MALFORMED`: it is none.
    """
    width, height = document["size"]
    tracks = tuple(map(track_of, document["tracks"]))
    return Watched(size=(width, height), times=tuple(document["times"]), tracks=tracks)
