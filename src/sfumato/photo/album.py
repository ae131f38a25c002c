"""Release a folder of whole photographs: find every face, protect it in its place, write the rest.

First all photographs are gone through for faces, then all are written: a protector of a collection
needs every face before it releases one, and a person may correct the boxes in between.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

import torch

from sfumato._version import __version__
from sfumato.data.leftout import LeftOut
from sfumato.data.listing import Listing, list_files
from sfumato.data.metadata import is_table
from sfumato.errors import DataError, ImageError, UnavailableError
from sfumato.files import refuse_taken, write_bytes
from sfumato.fingerprint import fingerprint
from sfumato.photo.blend import faces_cut, protect_faces
from sfumato.photo.boxes import Box, read_boxes, write_boxes
from sfumato.photo.choice import Chooser
from sfumato.photo.collection import OfFaces
from sfumato.photo.config import FaceConfig
from sfumato.photo.find.box import Face
from sfumato.photo.find.finder import FaceFinder
from sfumato.photo.original import LIMITS, Original, open_original
from sfumato.photo.progress import Part, Seen
from sfumato.photo.review import write_review
from sfumato.photo.video.film import film_of, is_film
from sfumato.photo.video.release import chosen, watch, write_film
from sfumato.progress import track
from sfumato.protect.release.noise import drawn_order
from sfumato.protect.release.parts import write_left_out
from sfumato.types import Protector

TABLE: Final = "a table of labels, which are not released"


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
    """Faces of films, each from when it appears to when it is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is released, and how."""

    protector: Protector
    source: Path
    out: Path
    config: FaceConfig = field(default_factory=FaceConfig)
    keep_names: bool = False
    """Whether files keep their names and folders, which often say who, where and when."""
    boxes: Path | None = None
    """A person's corrected table: its boxes are what is protected."""
    chooser: Chooser | None = None
    mute: bool = False
    """Whether films lose their sound."""

    def made_of(self) -> dict[str, str]:
        """Return what the release depends on, by the words of a message."""
        files = [self.source / file for file in list_files(self.source).files]
        states = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
        table = (
            "" if self.boxes is None else self.boxes.read_text(encoding="utf-8", errors="replace")
        )
        chosen = "" if self.chooser is None else self.chooser.fingerprint
        return {
            "the protector": fingerprint(self.protector),
            "the photographs": fingerprint(states),
            "how faces are found": json.dumps(asdict(self.config)) + table + chosen,
            "whether names or sound are kept": f"{self.keep_names} {self.mute}",
            "the version of sfumato": __version__,
        }


def beside(out: Path, ending: str) -> Path:
    """Return where what is not handed on lies: beside the release, never inside."""
    return out.with_name(f"{out.name}.{ending}")


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
    _look(job, part, listing.files, given)
    usable = [seen for seen in part.seen.values() if not seen.left_out]
    if not usable:
        part.give_up()
        raise nothing_in(job, listing)
    protector = _protector(job, usable)
    names = _names(usable, part.secret, keep=job.keep_names)
    films = [seen for seen in usable if seen.film]
    usable = [seen for seen in usable if not seen.film]
    for seen in track(usable, f"release {protector.name}"):
        _write(job, protector, part, seen, names[seen.file])
    tracks = _write_films(job, part, films, names)
    left_out = [LeftOut(s.file, s.left_out) for s in part.seen.values() if s.left_out]
    write_left_out(job.out, [*listing.left_out, *left_out])
    write_boxes(beside(job.out, "boxes.csv"), {seen.file: seen.boxes for seen in usable})
    write_review(beside(job.out, "review.html"), job.source, usable, job.config.sure)
    part.finish(job.out, list(names.values()))
    protected = sum(box.protect for seen in usable for box in seen.boxes)
    return PhotosReleased(
        folder=job.out,
        boxes=beside(job.out, "boxes.csv"),
        review=beside(job.out, "review.html"),
        photos=len(usable),
        protected=protected,
        left_clear=sum(len(seen.boxes) for seen in usable) - protected,
        without=sum(not any(box.protect for box in seen.boxes) for seen in usable),
        left_out=len(listing.left_out) + len(left_out),
        films=len(films),
        tracks=tracks,
    )


def opening(job: Job) -> tuple[Listing, dict[str, list[Box]] | None]:
    """Return the files of a release, and the boxes that a person gave for them.

    Raises:
        DataError: the folder, or the table of boxes, cannot be read.
        InputError: `OUT` exists.
    """
    refuse_taken(job.out, "the release")
    return list_files(job.source), None if job.boxes is None else read_boxes(job.boxes)


def nothing_in(job: Job, listing: Listing) -> DataError:
    """Return the error of a folder without a usable file."""
    return DataError(
        f"{job.source}: none of its {len(listing.files):,} files is a photograph or a film"
    )


def given_boxes(job: Job, given: Mapping[str, list[Box]], file: str) -> list[Box]:
    """Return what a person's table says of a photograph.

    Raises:
        DataError: it says nothing.
    """
    if file in given:
        return given[file]
    raise DataError(
        f"{job.boxes} has no row for {file}, which would be released as it is; add one "
        "(without a box, if it shows nobody), or release without the table"
    )


def _look(job: Job, part: Part, files: Sequence[str], given: dict[str, list[Box]] | None) -> None:
    """Note the boxes of every file that was not seen yet."""
    find: FaceFinder | None = None
    for file in track([f for f in files if f not in part.seen], "looking for faces"):
        if is_table(file):
            part.note(Seen(file=file, left_out=TABLE))
            continue
        if is_film(file):
            part.note(seen_film(job, file))
            continue
        try:
            original = read_original(job.source / file)
        except ImageError as error:
            part.note(Seen(file=file, left_out=str(error)))
            continue
        if given is None:
            find = find or FaceFinder()
            boxes = _found(job, find, original)
        else:
            boxes = given_boxes(job, given, file)
        height, width = original.pixels.shape[1:]
        size = (width, height)
        part.note(Seen(file=file, name=original.renamed(file), size=size, boxes=tuple(boxes)))


def seen_film(job: Job, file: str) -> Seen:
    """Return what is known of a film before it is searched."""
    if job.boxes is not None:
        return Seen(file=file, left_out="a film: a table of boxes speaks of photographs alone")
    if isinstance(job.protector, OfFaces):
        return Seen(file=file, left_out=f"a film: {job.protector.name} is made of photographs")
    try:
        film_of(job.source / file)
    except (ImageError, UnavailableError) as error:
        return Seen(file=file, left_out=str(error))
    return Seen(file=file, name=file, film=True)


def _write_films(job: Job, part: Part, films: Sequence[Seen], names: Mapping[str, str]) -> int:
    """Write every film that was not written in an earlier run, and return how many faces."""
    find = FaceFinder() if films else None
    count = 0
    for seen in films:
        target, path = part.folder / names[seen.file], job.source / seen.file
        tally = target.with_name(f".{target.name}.tracks")
        if not target.exists() and find is not None:
            watched = watch(path, find, job.config)
            if job.chooser is not None:
                watched = chosen(path, watched, job.chooser)
            write_bytes(tally, str(len(watched.tracks)).encode())
            write_film(
                job.protector, path, target, watched, job.config,
                secret=part.secret, mute=job.mute,
            )  # fmt: skip
        count += int(tally.read_bytes())
    return count


def read_original(path: Path) -> Original:
    """Read a photograph.

    Raises:
        ImageError: it cannot be read, or is none.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(LIMITS.max_bytes + 1)
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from error
    return open_original(content)


def _found(job: Job, find: FaceFinder, original: Original) -> list[Box]:
    rgb = original.rgb()
    faces = find(rgb)
    sure = [face.score >= job.config.sure for face in faces]
    if job.chooser is not None:
        chosen = job.chooser(rgb, faces)
        sure = [one and other for one, other in zip(sure, chosen, strict=True)]
    return [Box(face=face, protect=one) for face, one in zip(faces, sure, strict=True)]


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


def _names(usable: Sequence[Seen], secret: bytes, *, keep: bool) -> dict[str, str]:
    """Return what each file is called in the release."""
    if keep:
        taken: set[str] = set()
        names = {}
        for seen in usable:
            suffix = PurePosixPath(seen.name).suffix
            name = seen.name if seen.name not in taken else f"{seen.file}{suffix}"
            taken.add(name)
            names[seen.file] = name
        return names
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
