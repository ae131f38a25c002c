"""Pictures of a film for its review: each track at a few of its frames, and the film as a whole.

A face that was missed is in no track, so the whole film is shown too: a frame a second, or as many
as a person goes through, and one in each stretch in which nothing is protected.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Final

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from sfumato.photo.blend import Region
from sfumato.photo.find.box import Face
from sfumato.photo.track import Track
from sfumato.photo.video.film import frames_of
from sfumato.photo.video.watched import Watched

_OF_TRACK: Final = 5  # stills
_AROUND: Final = 0.9  # of a face on each side, on a track's still
_SMALL: Final = 144  # pixels of such a still
_WHOLE: Final = 640  # pixels of a whole frame's longer side
_MOST: Final = 120  # whole frames of a film
_CLEAR: Final = 40  # stretches without a protected face that get a whole frame of their own
_SHORT: Final = 200  # milliseconds below which such a stretch is not listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A still of a track: a square around the face."""

    ms: int
    url: str
    box: tuple[float, float, float, float]
    """The face's left, top, width and height, as shares of the square's side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """A whole frame."""

    ms: int
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stills:
    """All pictures of one film."""

    whole: tuple[Still, ...]
    of_tracks: tuple[tuple[Cut, ...], ...]
    """In the order of the tracks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Frames one after the other, none of which has a protected face."""

    frames: range
    start: int
    end: int
    """Milliseconds; the end is when the next frame is shown."""


def stretches(watched: Watched) -> list[Stretch]:
    """Return where nothing is protected, for long enough that a face would be seen."""
    boxes, times = watched.boxes(), watched.times
    clear = [number for number in range(len(times)) if number not in boxes]
    starts = [number for number in clear if number - 1 in boxes or number == 0]
    ends = [number for number in clear if number + 1 in boxes or number == len(times) - 1]
    found = [
        Stretch(
            frames=range(first, last + 1),
            start=times[first],
            end=times[min(last + 1, len(times) - 1)],
        )
        for first, last in zip(starts, ends, strict=True)
    ]
    whole_film = len(clear) == len(times)
    return [one for one in found if one.end - one.start >= _SHORT or whole_film]


def stills_of(path: Path, watched: Watched) -> Stills:
    """Read a film once and return its pictures.

    Raises:
        ImageError: the film is malformed.
    """
    whole = set(_overview(watched))
    asked = [_spread(one.frames(watched.times), _OF_TRACK) for one in watched.tracks]
    wanted: dict[int, list[int]] = {}
    for place, numbers in enumerate(asked):
        for number in numbers:
            wanted.setdefault(number, []).append(place)
    shown: list[Still] = []
    cuts: list[list[Cut]] = [[] for _ in watched.tracks]
    for frame in frames_of(path, watched.size):
        if frame.number in whole:
            shown.append(Still(ms=frame.ms, url=as_url(frame.pixels(_WHOLE), _WHOLE)))
        places = wanted.get(frame.number, ())
        pixels = frame.pixels() if places else None
        for place in places:
            if pixels is not None:
                cuts[place].append(_cut(pixels, watched.tracks[place], frame.ms))
    return Stills(whole=tuple(shown), of_tracks=tuple(map(tuple, cuts)))


def as_url(pixels: UInt8[Tensor, "3 h w"], longest: int) -> str:
    """Return a picture, at most so long, as an address that holds it."""
    picture = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    picture.thumbnail((longest, longest))
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _cut(pixels: UInt8[Tensor, "3 h w"], track: Track, ms: int) -> Cut:
    face = track.at(ms)
    region = Region.around(face, _AROUND)
    return Cut(ms=ms, url=as_url(region.cut(pixels), _SMALL), box=_inside(face, region))


def _inside(face: Face, region: Region) -> tuple[float, float, float, float]:
    left, top = face.left - region.left, face.top - region.top
    shares = (left, top, face.width, face.height)
    return tuple(share / region.side for share in shares)  # type: ignore[return-value]


def _overview(watched: Watched) -> list[int]:
    """Return the frames that are shown whole: a second apart or further, and in clear stretches."""
    times = watched.times
    count = min(_MOST, max(2, ceil((times[-1] - times[0]) / 1000) + 1))
    longest = sorted(stretches(watched), key=lambda one: one.start - one.end)[:_CLEAR]
    middles = [one.frames[len(one.frames) // 2] for one in longest]
    return [*_spread(range(len(times)), count), *middles]


def _spread(frames: range, count: int) -> Sequence[int]:
    """Return so many of the frames at most, the first and the last among them."""
    if len(frames) <= count:
        return frames
    steps = max(1, count - 1)
    return [frames[round(place * (len(frames) - 1) / steps)] for place in range(count)]
