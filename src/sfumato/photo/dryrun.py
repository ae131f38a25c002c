"""What a release of photographs would read, leave out and write, and how long it would take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sfumato.data.folder import read_headers
from sfumato.data.leftout import LeftOut
from sfumato.data.metadata import is_table
from sfumato.errors import ImageError
from sfumato.photo.find.finder import FaceFinder
from sfumato.photo.job import Job, beside
from sfumato.photo.kind import is_film
from sfumato.photo.original import LIMITS, read_original
from sfumato.photo.progress import Part
from sfumato.photo.search import (
    TABLE,
    film_refused,
    given_boxes,
    given_tracks,
    nothing_in,
    opening,
)
from sfumato.photo.video.film import film_of
from sfumato.photo.video.release import minutes_for

_TRIED = 3  # photographs that are timed


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be done; nothing was written."""

    photos: int
    done: int
    """Files that an interrupted run has searched already."""
    bytes: int
    left_out: tuple[LeftOut, ...]
    minutes: float
    films: int
    frames: int
    boxes: Path
    review: Path


def planned(job: Job) -> Plan:
    """Return what the job would do; headers are read, and a few photographs are timed.

    Raises:
        DataError, InputError: as `release_photos`, but for what only shows when all is read.
        UnavailableError: the extra `photos` is not installed.
    """
    listing, given = opening(job)
    part = Part.under_way(job.out, job.made_of())
    left_out = list(listing.left_out)
    photos: list[str] = []
    films: list[str] = []
    for file in listing.files:
        refused = TABLE if is_table(file) else film_refused(job, file) if is_film(file) else ""
        if refused:
            left_out.append(LeftOut(file, refused))
        else:
            (films if is_film(file) else photos).append(file)
    pixels, unread = read_headers(job.source, photos, LIMITS)
    left_out += unread
    if not pixels and not films:
        raise nothing_in(job, left_out)
    if given is not None:
        for file in pixels:
            given_boxes(job, given, file)
        for file in films:
            given_tracks(job, given, file)
    frames = sum(film_of(job.source / file).frames for file in films)
    return Plan(
        photos=len(pixels),
        done=0 if part is None else len(part.seen),
        bytes=sum((job.source / file).stat().st_size for file in pixels),
        left_out=tuple(left_out),
        minutes=_minutes(job, pixels) + (minutes_for(frames) if given is None else 0.0),
        films=len(films),
        frames=frames,
        boxes=beside(job.out, "boxes.csv"),
        review=beside(job.out, "review.html"),
    )


def _minutes(job: Job, pixels: Mapping[str, int]) -> float:
    find = FaceFinder() if job.boxes is None and pixels else None

    def attempt(file: str) -> None:
        original = read_original(job.source / file)
        original.encoded(original.pixels)
        if find is not None:
            find(original.rgb())

    return minutes_of(pixels, attempt)


def minutes_of(pixels: Mapping[str, int], attempt: Callable[[str], None]) -> float:
    """Return the time for all photographs' pixels by the time that a few photographs take."""
    tried = sorted(pixels, key=lambda file: pixels[file])[:: max(1, len(pixels) // _TRIED)][:_TRIED]
    start = time.perf_counter()
    seen = 0
    for file in tried:
        with suppress(ImageError):  # its header is whole, and its pixels are not
            attempt(file)
            seen += pixels[file]
    spent = time.perf_counter() - start
    return spent * sum(pixels.values()) / max(1, seen) / 60
