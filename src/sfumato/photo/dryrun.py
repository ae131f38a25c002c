"""What a release of photographs would read, leave out and write, and how long it would take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from sfumato.data.decoding.decode import open_picture
from sfumato.data.leftout import LeftOut
from sfumato.data.listing import list_files
from sfumato.data.metadata import is_table
from sfumato.errors import ImageError, UnavailableError
from sfumato.photo.album import TABLE, Job, beside, read_original
from sfumato.photo.find.finder import FaceFinder
from sfumato.photo.original import LIMITS
from sfumato.photo.video.film import film_of, is_film
from sfumato.photo.video.release import minutes_for
from sfumato.progress import track

_TRIED = 3  # photographs that are timed


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be done; nothing was written."""

    photos: int
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
        DataError: the folder cannot be read.
        UnavailableError: the extra `photos` is not installed.
    """
    listing = list_files(job.source)
    left_out = list(listing.left_out)
    pixels: dict[str, int] = {}
    films = frames = 0
    for file in track(listing.files, "reading headers"):
        if is_table(file):
            left_out.append(LeftOut(file, TABLE))
            continue
        if is_film(file):
            try:
                frames += film_of(job.source / file).frames
                films += 1
            except (ImageError, UnavailableError) as error:
                left_out.append(LeftOut(file, str(error)))
            continue
        try:
            with (job.source / file).open("rb") as stream:
                opened = open_picture(stream.read(LIMITS.max_bytes + 1), limits=LIMITS)
        except OSError as error:
            left_out.append(LeftOut(file, f"cannot be read: {error.strerror or error}"))
        except ImageError as error:
            left_out.append(LeftOut(file, str(error)))
        else:
            if opened.source.several:
                left_out.append(LeftOut(file, "several frames or pages; send one of them"))
            else:
                pixels[file] = opened.pixels
    return Plan(
        photos=len(pixels),
        bytes=sum((job.source / file).stat().st_size for file in pixels),
        left_out=tuple(left_out),
        minutes=_minutes(job, pixels) + minutes_for(frames),
        films=films,
        frames=frames,
        boxes=beside(job.out, "boxes.csv"),
        review=beside(job.out, "review.html"),
    )


def _minutes(job: Job, pixels: dict[str, int]) -> float:
    """Return the time for all pixels by the time that a few photographs take."""
    tried = sorted(pixels, key=lambda file: pixels[file])[:: max(1, len(pixels) // _TRIED)][:_TRIED]
    if not tried:
        return 0.0
    find = FaceFinder() if job.boxes is None else None
    start = time.perf_counter()
    seen = 0
    for file in tried:
        try:
            original = read_original(job.source / file)
        except ImageError:  # its header is whole, and its pixels are not
            continue
        original.encoded(original.pixels)
        if find is not None:
            find(original.rgb())
        seen += pixels[file]
    spent = time.perf_counter() - start
    return spent * sum(pixels.values()) / max(1, seen) / 60
