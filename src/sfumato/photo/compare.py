"""Original photographs beside their releases: every face, and what the release shows in its place.

Faces are looked for with less certainty than a release asks for, so that those are found which a
release left as they are. A box counts where the finder is sure, or where dlib's detector, which is
another one, finds a face in it as well. What dlib finds it also aligns; the release is cut at the
same places, so that an attacker who aligns better gains nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

from sfumato.counted import counted
from sfumato.data.leftout import LeftOut, named
from sfumato.data.listing import list_files
from sfumato.data.metadata import is_table
from sfumato.errors import DataError, ImageError
from sfumato.features.facenet import FaceNet
from sfumato.photo.blend import cut_around
from sfumato.photo.config import SURE
from sfumato.photo.find.box import SAME, Face
from sfumato.photo.find.finder import MAYBE, FaceFinder
from sfumato.photo.find.kept import Find, kept
from sfumato.photo.kind import is_film
from sfumato.photo.names import contested, kept_names
from sfumato.photo.original import read_original, written_name
from sfumato.progress import track


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedFace:
    """One face of an original, and what the release has in its place."""

    file: str
    face: Face
    found_again: bool
    """Whether the finder is sure of a face there in the release."""
    aligned: UInt8[Tensor, "two 3 side side"] | None
    """The original's face, upright, and the same place of the release; None of a face that cannot
    be aligned: small, dark or from the side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Which released file belongs to which original, and what is not compared."""

    source: Path
    released: Path
    files: tuple[tuple[str, str], ...]
    left_out: tuple[LeftOut, ...]


def pair_files(source: Path, released: Path) -> Pairs:
    """Match files by the names that a release gives them.

    Raises:
        DataError: a folder cannot be read, or names were not kept.
    """
    listing, there = list_files(source), set(list_files(released).files)
    left_out = list(listing.left_out)
    left_out += (
        LeftOut(file, "a film: only photographs are compared")
        for file in filter(is_film, listing.files)
    )
    photos = [file for file in listing.files if not is_film(file) and not is_table(file)]
    wanted, unread = _wanted(source, photos)
    names = kept_names(wanted)
    pairs = [(file, names[file]) for file in wanted if names[file] in there]
    left_out += unread
    left_out += (
        LeftOut(file, "the release has no file of that name")
        for file in wanted
        if names[file] not in there
    )
    films = [file for file in listing.files if is_film(file)]
    if films and all(is_film(file) or is_table(file) for file in listing.files):
        raise DataError(
            f"{source}: expected photographs, got {counted(len(films), 'film')} alone, which an "
            "audit does not compare; go through the release's review"
        )
    if not pairs:
        raise DataError(
            f"{released}: none of its {counted(len(there), 'file')} has the name of an original in "
            f"{source}; `sfumato release --faces --keep-names` keeps names, so that each can be "
            "compared with its original"
        )
    return Pairs(source=source, released=released, files=tuple(pairs), left_out=tuple(left_out))


def _wanted(source: Path, photos: Sequence[str]) -> tuple[dict[str, str], list[LeftOut]]:
    """Return the names that photographs want, and what a release leaves out.

    What is left out takes no name from another, so where names are contested all is read.
    """
    wanted: dict[str, str] = {}
    left_out: list[LeftOut] = []
    for file in photos:
        try:
            wanted[file] = written_name(source / file, file)
        except ImageError as error:
            left_out.append(LeftOut(file, str(error)))
    for file in contested(wanted):
        try:
            read_original(source / file)
        except ImageError as error:
            left_out.append(LeftOut(file, str(error)))
            del wanted[file]
    return wanted, left_out


def finder() -> Find:
    """Return what finds faces with less certainty than a release asks for.

    Raises:
        UnavailableError: the extra `photos` is not installed.
    """
    find = FaceFinder()
    return lambda picture, least: find(picture, least=least)


def compare(
    pairs: Pairs, notes: Path | None = None
) -> tuple[list[ComparedFace], tuple[LeftOut, ...]]:
    """Return every face of the originals with its release, and the files that were left out.

    With a folder for notes, what was searched in an earlier run is not searched again.

    Raises:
        DataError: the photographs show no face.
        UnavailableError: the extras `photos` and `faces` are not installed.
    """
    find = finder() if notes is None else kept(finder(), notes)
    net = FaceNet()
    faces: list[ComparedFace] = []
    left_out = list(pairs.left_out)
    for file, name in track(pairs.files, "comparing photographs"):
        try:
            faces += compare_one(pairs, file, name, find, net)
        except ImageError as error:
            left_out.append(LeftOut(file, str(error)))
    if not faces:
        why = f"; left out: {named(left_out)}" if left_out else ""
        raise DataError(
            f"{pairs.source}: no face found in {counted(len(pairs.files), 'photograph')}{why}"
        )
    return faces, tuple(left_out)


def compare_one(
    pairs: Pairs, file: str, name: str, find: Find, net: FaceNet
) -> Iterator[ComparedFace]:
    """Yield the faces of one photograph.

    Raises:
        ImageError: one of the two is no photograph, or they differ in size.
    """
    original = read_original(pairs.source / file).rgb()
    released = read_original(pairs.released / name).rgb()
    if original.shape != released.shape:
        sizes = [f"{p.shape[2]}x{p.shape[1]}" for p in (original, released)]
        raise ImageError(f"{sizes[0]} pixels, and {sizes[1]} in the release: not the same picture")
    again = find(released, SURE)
    for face in find(original, MAYBE):
        aligned = net.middle(cut_around(original, face), cut_around(released, face))
        if aligned is not None or face.score >= SURE:
            yield ComparedFace(
                file=file,
                face=face,
                found_again=any(face.overlap(other) > SAME for other in again),
                aligned=aligned,
            )


def alone(faces: Sequence[ComparedFace]) -> set[str]:
    """Return the photographs with one face: what is known of such a one is known of its face."""
    counts: dict[str, int] = {}
    for one in faces:
        counts[one.file] = counts.get(one.file, 0) + 1
    return {file for file, count in counts.items() if count == 1}
