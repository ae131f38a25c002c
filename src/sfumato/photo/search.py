"""What a release knows of each file before it writes one: what is found, or a table says.

A table that names a file that is not there, that says nothing of one that is, or whose boxes lie
where no picture is, would leave a face clear: each is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from sfumato.counted import counted
from sfumato.data.leftout import LeftOut, as_text, named, shortened
from sfumato.data.listing import Listing, list_files
from sfumato.data.metadata import is_table
from sfumato.errors import DataError, ImageError, UnavailableError
from sfumato.outputs import refuse_inside, refuse_taken
from sfumato.photo.blend import refuse_no_pictures
from sfumato.photo.boxes import Box, Boxes, read_boxes
from sfumato.photo.clock import clock
from sfumato.photo.collection import OfFaces
from sfumato.photo.find.box import BEYOND, Face
from sfumato.photo.find.finder import FaceFinder
from sfumato.photo.job import Job
from sfumato.photo.kind import is_film
from sfumato.photo.original import Original, read_original
from sfumato.photo.progress import Seen
from sfumato.photo.track import Track
from sfumato.photo.video.film import film_of
from sfumato.photo.video.release import timed, watch

TABLE: Final = "a table of labels, which are not released"
_ROUNDED: Final = 0.01  # of the picture, by which a table's boxes may differ from those found
_LATE: Final = 1000  # milliseconds for which a player may go on showing the last frame


def opening(job: Job) -> tuple[Listing, Boxes | None]:
    """Return the files of a release, and the boxes that a person gave for them.

    Raises:
        DataError: the folder, or the table of boxes, cannot be read, or the table names a file
            that the folder lacks; or the protector gives no pictures.
        InputError: `OUT` exists, or lies in the folder.
    """
    refuse_taken(job.out, "the release")
    refuse_inside(job.out, job.source)
    if not isinstance(job.protector, OfFaces):
        refuse_no_pictures(job.protector)
    listing = list_files(job.source)
    if job.boxes is None:
        return listing, None
    given = read_boxes(job.boxes)
    known = set(map(as_text, (*listing.files, *(one.file for one in listing.left_out))))
    unknown = [file for file in (*given.photos, *given.films) if file not in known]
    if unknown:
        raise DataError(
            f"{job.boxes} has a row for {shortened(unknown[0])}, which {job.source} lacks; correct "
            "the name, or delete the row"
        )
    return listing, given


def nothing_in(job: Job, left_out: Sequence[LeftOut]) -> DataError:
    """Return the error of a folder without a usable file."""
    why = f": {named(left_out)}" if left_out else ""
    return DataError(
        f"{job.source}: expected a photograph or a film, got {counted(len(left_out), 'file')} of "
        f"which none can be used{why}"
    )


def given_boxes(job: Job, given: Boxes, file: str) -> list[Box]:
    """Return what a person's table says of a photograph.

    Raises:
        DataError: it says nothing.
    """
    if as_text(file) in given.photos:
        return given.photos[as_text(file)]
    raise _no_row(job, file)


def given_tracks(job: Job, given: Boxes, file: str) -> list[Track]:
    """Return what a person's table says of a film.

    Raises:
        DataError: it says nothing.
    """
    if as_text(file) in given.films:
        return given.films[as_text(file)]
    raise _no_row(job, file)


def _no_row(job: Job, file: str) -> DataError:
    return DataError(
        f"{job.boxes} has no row for {shortened(file)}, which would be released as it is; add one "
        "(without a box, if it shows nobody), or release without the table"
    )


@dataclass
class Search:
    """What is found in each file, or what a person's table says of it."""

    job: Job
    given: Boxes | None

    @cached_property
    def find(self) -> FaceFinder:
        """The detector, loaded when it is first needed."""
        return FaceFinder()

    def seen(self, file: str) -> Seen:
        """Return what is known of a file.

        Raises:
            DataError: a person's table says nothing of it, or what cannot be.
            UnavailableError: the extra `photos` is not installed, and no table is given.
        """
        if is_table(file):
            return Seen(file=file, left_out=TABLE)
        try:
            return self._film(file) if is_film(file) else self._photograph(file)
        except ImageError as error:
            return Seen(file=file, left_out=str(error))

    def _photograph(self, file: str) -> Seen:
        original = read_original(self.job.source / file)
        height, width = original.pixels.shape[1:]
        if self.given is None:
            boxes = _found(self.job, self.find, original)
        else:
            boxes = given_boxes(self.job, self.given, file)
            self._refuse_elsewhere(file, [box.face for box in boxes], (width, height))
        return Seen(
            file=file, name=original.renamed(file), size=(width, height), boxes=tuple(boxes)
        )

    def _film(self, file: str) -> Seen:
        refused = film_refused(self.job, file)
        if refused:
            return Seen(file=file, left_out=refused)
        path = self.job.source / file
        if self.given is None:
            watched = watch(path, self.find, self.job.config, self.job.chooser)
        else:
            watched = timed(path, given_tracks(self.job, self.given, file))
            for one in watched.tracks:
                self._refuse_elsewhere(file, [face for _, face in one.points], watched.size)
                self._refuse_late(file, one, watched.times[-1])
        return Seen(file=file, name=file, size=watched.size, film=watched)

    def _refuse_elsewhere(self, file: str, faces: Sequence[Face], size: tuple[int, int]) -> None:
        """Refuse boxes that protect nothing, or more than a picture holds."""
        whole = Face(left=0, top=0, right=size[0], bottom=size[1])
        shown, most = whole.grown(_ROUNDED), whole.grown(BEYOND + _ROUNDED)
        for face in faces:
            if not face.common(shown) or face.cut(most) != face:
                places = f"{face.left:g}, {face.top:g}, {face.right:g}, {face.bottom:g}"
                raise DataError(
                    f"{self.job.boxes}: the box {places} of {shortened(file)} lies outside of its "
                    f"{size[0]}x{size[1]} pixels, or far beyond; correct it, or delete the row"
                )

    def _refuse_late(self, file: str, one: Track, last: int) -> None:
        if one.start > last + _LATE:
            raise DataError(
                f"{self.job.boxes}: track {shortened(one.name)} of {shortened(file)} starts at "
                f"{clock(one.start)}, and the last frame is shown at {clock(last)}; correct the "
                "time, or delete the rows"
            )


def film_refused(job: Job, file: str) -> str:
    """Return why a film is left out before it is searched; empty where it is not.

    Raises:
        DataError: a person's table says nothing of it.
    """
    if isinstance(job.protector, OfFaces):
        return f"a film: {job.protector.name} is made of photographs"
    try:
        film_of(job.source / file)
    except (ImageError, UnavailableError) as error:
        return str(error)
    return ""


def _found(job: Job, find: FaceFinder, original: Original) -> list[Box]:
    rgb = original.rgb()
    faces = find(rgb)
    sure = [face.score >= job.config.sure for face in faces]
    if job.chooser is not None:
        chosen = job.chooser(rgb, faces)
        sure = [one and other for one, other in zip(sure, chosen, strict=True)]
    return [Box(face=face, protect=one) for face, one in zip(faces, sure, strict=True)]
