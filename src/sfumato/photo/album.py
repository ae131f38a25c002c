"""Release a folder of whole photographs: find every face, protect it in its place, write the rest.

First all photographs are gone through for faces, then all are written: a protector of a collection
needs every face before it releases one, and a person may correct the boxes in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import torch

from sfumato.data.leftout import LeftOut
from sfumato.data.listing import Listing
from sfumato.errors import DataError, ImageError
from sfumato.files import write_bytes
from sfumato.photo.blend import faces_cut, protect_faces
from sfumato.photo.boxes import Boxes, write_boxes
from sfumato.photo.collection import OfFaces
from sfumato.photo.find.box import Face
from sfumato.photo.job import Job, beside
from sfumato.photo.kind import is_film
from sfumato.photo.names import kept_names
from sfumato.photo.original import read_original
from sfumato.photo.progress import Part, Seen
from sfumato.photo.review import write_review
from sfumato.photo.search import Search, nothing_in, opening
from sfumato.photo.video.release import write_film
from sfumato.progress import track
from sfumato.protect.release.noise import drawn_order
from sfumato.protect.release.parts import write_left_out
from sfumato.types import Protector


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotosReleased:
    """What a release of photographs left on disk."""

    folder: Path
    boxes: Path
    review: Path
    photos: int
    protected: int
    """Faces."""
    left_clear: int
    """Boxes that were not protected: not sure enough, or not chosen."""
    without: int
    """Photographs without a protected face."""
    left_out: int
    films: int = 0
    tracks: int = 0
    """Protected faces of films, each from when it appears to when it is gone."""
    tracks_left_clear: int = 0


def release_photos(job: Job) -> PhotosReleased:
    """Write the release, and beside it `OUT.boxes.csv` and `OUT.review.html`, which stay with you.

    Interrupted, the same job goes on. `OUT` appears when it is whole.

    Raises:
        DataError: no file is a usable photograph, or the table of boxes lacks one.
        InputError: `OUT` exists, or cannot be written.
        UnavailableError: the extra `photos` is not installed, and no table of boxes is given.
    """
    listing, given = opening(job)
    part = Part.begin(job.out, job.made_of())
    try:
        _look(Search(job, given), part, [file for file in listing.files if file not in part.seen])
    except DataError:  # of the table, which took no search and will be another
        part.give_up()
        raise
    usable = [seen for seen in part.seen.values() if not seen.left_out]
    if not usable:
        part.give_up()
        raise nothing_in(job, _left_out(part, listing))
    protector = _protector(job, usable)
    # Also of a film that could not be written before an interruption: names stay what they were.
    names = _names([seen for seen in part.seen.values() if seen.name], part.secret, job.keep_names)
    # By their new names: some disks list files in the order in which they were written.
    usable.sort(key=lambda seen: names[seen.file])
    for seen in track([seen for seen in usable if seen.film is None], f"release {protector.name}"):
        _write(job, protector, part, seen, names[seen.file])
    for seen in [seen for seen in usable if seen.film is not None]:
        _write_film(job, part, seen, names[seen.file])
    return _finished(job, part, listing, names)


def _look(search: Search, part: Part, files: Sequence[str]) -> None:
    """Note what is in every file; a film has a progress bar of its own."""
    for file in track([file for file in files if not is_film(file)], "looking for faces"):
        part.note(search.seen(file))
    for file in files:
        if is_film(file):
            part.note(search.seen(file))


def _finished(job: Job, part: Part, listing: Listing, names: Mapping[str, str]) -> PhotosReleased:
    """Write what lies beside the release, put the release in its place, and count."""
    usable = [seen for seen in part.seen.values() if not seen.left_out]
    left_out = _left_out(part, listing)
    if not usable:  # no film could be written
        part.give_up()
        raise nothing_in(job, left_out)
    write_left_out(job.out, left_out)
    table = beside(job.out, "boxes.csv")
    if job.boxes is None or job.boxes.resolve() != table.resolve():  # a person's own stays theirs
        write_boxes(
            table,
            Boxes(
                photos={seen.file: [*seen.boxes] for seen in usable if seen.film is None},
                films={seen.file: [*seen.film.tracks] for seen in usable if seen.film is not None},
            ),
        )
    write_review(beside(job.out, "review.html"), job.source, usable, job.config.sure)
    part.finish(job.out, [names[seen.file] for seen in usable])
    photos = [seen for seen in usable if seen.film is None]
    boxes = [box for seen in photos for box in seen.boxes]
    tracks = [one for seen in usable if seen.film is not None for one in seen.film.tracks]
    return PhotosReleased(
        folder=job.out,
        boxes=table,
        review=beside(job.out, "review.html"),
        photos=len(photos),
        protected=sum(box.protect for box in boxes),
        left_clear=sum(not box.protect for box in boxes),
        without=sum(not any(box.protect for box in seen.boxes) for seen in photos),
        left_out=len(left_out),
        films=len(usable) - len(photos),
        tracks=sum(one.protect for one in tracks),
        tracks_left_clear=sum(not one.protect for one in tracks),
    )


def _left_out(part: Part, listing: Listing) -> list[LeftOut]:
    seen = [LeftOut(one.file, one.left_out) for one in part.seen.values() if one.left_out]
    return [*listing.left_out, *seen]


def _write_film(job: Job, part: Part, seen: Seen, name: str) -> None:
    """Write a film that was not written in an earlier run; one that cannot be is left out."""
    target = part.folder / name
    if target.exists() or seen.film is None:
        return
    try:
        write_film(
            job.protector, job.source / seen.file, target, seen.film, job.config,
            secret=part.secret, mute=job.mute,
        )  # fmt: skip
    except ImageError as error:
        part.note(replace(seen, left_out=str(error)))


def _protector(job: Job, usable: Sequence[Seen]) -> Protector:
    """Return the protector, made from all faces where it needs them."""
    if not isinstance(job.protector, OfFaces):
        return job.protector
    parts = []
    for seen in track(usable, "reading faces"):
        faces = _protected(seen)
        if faces:
            picture = read_original(job.source / seen.file).rgb()
            parts.append(faces_cut(job.protector, picture, faces, job.config.grow))
    if not parts:
        raise DataError(f"{job.source}: no face found, and the protector is made from faces")
    return job.protector.of_faces(torch.cat(parts))


def _protected(seen: Seen) -> list[Face]:
    return [box.face for box in seen.boxes if box.protect]


def _names(usable: Sequence[Seen], secret: bytes, keep: bool) -> dict[str, str]:
    """Return what each file is called in the release."""
    if keep:
        return kept_names({seen.file: seen.name for seen in usable})
    order = drawn_order(secret, len(usable))
    return {
        seen.file: f"{place:08d}{PurePosixPath(seen.name).suffix.lower()}"
        for seen, place in zip(usable, order, strict=True)
    }


def _write(job: Job, protector: Protector, part: Part, seen: Seen, name: str) -> None:
    target = part.folder / name
    if target.exists():  # of an earlier run
        return
    original = read_original(job.source / seen.file)
    # One that needs all faces took them in colour.
    picture = original.rgb() if isinstance(job.protector, OfFaces) else original.pixels
    pixels = protect_faces(
        protector, picture, _protected(seen), grow=job.config.grow, secret=part.secret
    )
    write_bytes(target, original.encoded(pixels))
