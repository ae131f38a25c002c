"""`review.html`: every box of every photograph and film, the least certain first, for a person.

The page shows originals. It opens from disk, asks no network for anything, and runs its own script
alone: a box is switched by a click, drawn by a drag, and saved as a new `boxes.csv`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from sfumato.counted import counted
from sfumato.data.decoding.decode import ImageLimits, decode_image
from sfumato.data.leftout import as_text
from sfumato.files import replacing
from sfumato.photo.boxes import Box
from sfumato.photo.clock import clock
from sfumato.photo.original import LIMITS
from sfumato.photo.progress import Seen
from sfumato.photo.stills import Cut, Still, Stretch, as_url, stills_of, stretches
from sfumato.photo.track import Track
from sfumato.photo.video.watched import Watched
from sfumato.progress import track

_LONGEST: Final = 720  # pixels of a photograph on the page
_SMALL: Final = ImageLimits(max_bytes=LIMITS.max_bytes, kept_pixels=2_000_000)
_SURE_OF_NOTHING: Final = 2.0  # behind every score


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A photograph on the page."""

    file: str
    url: str
    size: tuple[int, int]
    boxes: tuple[Box, ...]

    def places(self) -> list[dict[str, Any]]:
        """Return the boxes as the page's script takes them."""
        return [
            {
                "box": [box.face.left, box.face.top, box.face.right, box.face.bottom],
                "score": round(box.face.score, 3),
                "protect": box.protect,
            }
            for box in self.boxes
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTrack:
    """A track on the page."""

    place: int
    """Among the film's tracks."""
    track: Track
    frames: int
    """That it covers."""
    cuts: tuple[Cut, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFilm:
    """A film on the page."""

    file: str
    watched: Watched
    tracks: tuple[ShownTrack, ...]
    """The least certain first."""
    whole: tuple[Still, ...]
    clear: tuple[Stretch, ...]
    """Where nothing is protected."""

    def paths(self) -> list[dict[str, Any]]:
        """Return the tracks as the page's script takes them."""
        return [
            {
                "name": one.name,
                "score": round(one.score, 3),
                "protect": one.protect,
                "points": [[ms, f.left, f.top, f.right, f.bottom] for ms, f in one.points],
            }
            for one in self.watched.tracks
        ]


def write_review(path: Path, source: Path, seen: Sequence[Seen], sure: float) -> None:
    """Write the page, readable by its owner alone."""
    order = sorted(seen, key=lambda one: (doubt(one, sure), one.file))
    photos = [one for one in order if one.film is None]
    films = [one for one in order if one.film is not None]
    environment = Environment(
        loader=PackageLoader("sfumato.photo"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True,
    )  # fmt: skip
    environment.filters |= {"clock": clock, "counted": counted}
    script = environment.get_template("review.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    boxes = [box for one in photos for box in one.boxes]
    tracks = [one for film in films if film.film is not None for one in film.film.tracks]
    stream = environment.get_template("review.html.j2").stream(
        photos=_photos(source, photos),
        films=_films(source, films, sure),
        subject=_subject(len(photos), len(films)),
        count=len(photos),
        film_count=len(films),
        boxes=_answers(boxes),
        tracks=_answers(tracks),
        empty=sum(not one.boxes for one in photos),
        sure=sure,
        script=script,
        digest=digest,
    )
    with replacing(path, mode=0o600) as part, part.open("w", encoding="utf-8") as file:
        file.writelines(stream)  # a photograph or film at a time


def doubt(seen: Seen, sure: float) -> float:
    """Return how far the least certain box lies from the threshold; without any, far."""
    tracks = () if seen.film is None else seen.film.tracks
    scores = [*(box.face.score for box in seen.boxes), *(one.score for one in tracks)]
    return min((abs(score - sure) for score in scores), default=_SURE_OF_NOTHING)


def _subject(photos: int, films: int) -> str:
    counts = [(photos, "photograph"), (films, "film")]
    return " and ".join(counted(count, word) for count, word in counts if count)


def _answers(marked: Sequence[Box | Track]) -> tuple[int, int]:
    """Return how many are protected, and how many are left clear."""
    protected = sum(one.protect for one in marked)
    return protected, len(marked) - protected


def _photos(source: Path, order: Sequence[Seen]) -> Iterator[Shown]:
    for seen in track(order, "writing the review"):
        pixels = decode_image((source / seen.file).read_bytes(), limits=_SMALL, channels=3)
        url = as_url(pixels, _LONGEST)
        yield Shown(file=as_text(seen.file), url=url, size=seen.size, boxes=seen.boxes)


def _films(source: Path, order: Sequence[Seen], sure: float) -> Iterator[ShownFilm]:
    for seen in track(order, "writing the review of films"):
        if seen.film is not None:
            yield _film(source, seen.file, seen.film, sure)


def _film(source: Path, file: str, watched: Watched, sure: float) -> ShownFilm:
    stills = stills_of(source / file, watched)
    tracks = [
        ShownTrack(place=place, track=one, frames=len(one.frames(watched.times)), cuts=cuts)
        for place, (one, cuts) in enumerate(zip(watched.tracks, stills.of_tracks, strict=True))
    ]
    tracks.sort(key=lambda one: (abs(one.track.score - sure), one.track.start))
    return ShownFilm(
        file=as_text(file),
        watched=watched,
        tracks=tuple(tracks),
        whole=stills.whole,
        clear=tuple(stretches(watched)),
    )
