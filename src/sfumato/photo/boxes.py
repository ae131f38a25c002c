"""`boxes.csv`: every face of every photograph and film, to be read, corrected and given back.

One row a face of a photograph. A face of a film has a row for each time at which its box is given;
between two rows of one `track` it lies on a line. A file without faces has one row with empty
cells, so that a file that nobody went through is told from one that shows nobody.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Final, TypeAlias

from sfumato.data.leftout import FILE_COLUMN, shortened, table_of
from sfumato.errors import DataError
from sfumato.files import read_limited, write_bytes
from sfumato.photo.clock import read_time, seconds
from sfumato.photo.find.box import Face
from sfumato.photo.kind import is_film
from sfumato.photo.track import Track

COLUMNS: Final = (
    FILE_COLUMN, "left", "top", "right", "bottom", "score", "protect", "track", "time"
)  # fmt: skip
_PLACES: Final = COLUMNS[1:5]
_LIMIT_BYTES: Final = 256 << 20
_LONGEST: Final = 40  # characters of a track's name
_YES, _NO = "yes", "no"

Row: TypeAlias = Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A face of a photograph, and whether it is protected."""

    face: Face
    protect: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """What is known of each file, by its path inside the folder."""

    photos: dict[str, list[Box]] = field(default_factory=dict)
    films: dict[str, list[Track]] = field(default_factory=dict)


def write_boxes(path: Path, boxes: Boxes) -> None:
    """Write the table, readable by its owner alone: the names are private."""
    rows = [list(COLUMNS)]
    for file in sorted([*boxes.photos, *boxes.films]):
        marked = [*_rows(file, boxes)]
        rows += marked or [[file, *[""] * (len(COLUMNS) - 1)]]
    write_bytes(path, table_of(rows), mode=0o600)


def _rows(file: str, boxes: Boxes) -> Iterator[list[str]]:
    for box in boxes.photos.get(file, ()):
        yield [file, *_numbers(box.face, box.face.score), _answer(box.protect), "", ""]
    for track in boxes.films.get(file, ()):
        for ms, face in track.points:
            about = (_answer(track.protect), track.name, seconds(ms))
            yield [file, *_numbers(face, track.score), *about]


def _numbers(face: Face, score: float | int) -> list[str]:
    places = (face.left, face.top, face.right, face.bottom)
    return [*(f"{place:.1f}" for place in places), f"{score:.3f}"]


def _answer(protect: bool) -> str:
    return _YES if protect else _NO


def read_boxes(path: Path) -> Boxes:
    """Read a table that a person may have changed.

    An empty score is 1, an empty `protect` yes.

    Raises:
        DataError: it cannot be read, or a row is malformed.
    """
    content = read_limited(path, limit_bytes=_LIMIT_BYTES, error=DataError)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"cannot read {path}: {error}; expected CSV in UTF-8") from error
    boxes, tracks = Boxes(), dict[tuple[str, str], _Gathered]()
    for where, row in _table(path, text):
        file = row[FILE_COLUMN] or ""
        if not file:
            raise DataError(f"{where}: expected a `{FILE_COLUMN}`, got none")
        has_box = any((row[name] or "").strip() for name in _PLACES)
        if is_film(file):
            boxes.films.setdefault(file, [])
            if has_box:
                name, ms = _moment(row, where)
                tracks.setdefault((file, name), _Gathered()).add(ms, _box(row, where), where)
        else:
            found = boxes.photos.setdefault(file, [])
            if has_box:
                _refuse_moment(row, where)
                found.append(_box(row, where))
    for (file, name), gathered in tracks.items():
        boxes.films[file].append(gathered.track(name))
    return boxes


def _table(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    """Yield each row that is not empty, and where it stands."""
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = rows.fieldnames or ()
        missing = [name for name in COLUMNS[:5] if name not in names]
        if missing:
            raise DataError(
                f"{path}: expected a column {missing[0]!r} in the first line, and commas between "
                "columns"
            )
        if len(set(names)) < len(names):
            raise DataError(f"{path}: a column stands twice in the first line")
        for row in rows:
            where = f"{path}:{rows.line_num}"
            if None in row:
                raise DataError(
                    f"{where}: expected {len(names)} cells, got more; numbers have a point"
                )
            if any(row.values()):
                yield where, row
    except csv.Error as error:
        raise DataError(f"{path}, after line {rows.line_num}: {error}; expected CSV") from error


def _box(row: Row, where: str) -> Box:
    try:
        places = [float(row[name] or "") for name in _PLACES]
        score = float(row.get("score") or 1)
    except ValueError as error:
        raise DataError(f"{where}: expected numbers as box and score: {error}") from error
    left, top, right, bottom = places
    if not all(map(isfinite, (*places, score))) or left >= right or top >= bottom:
        raise DataError(
            f"{where}: expected left below right and top below bottom, got {shortened(str(places))}"
        )
    protect = (row.get("protect") or _YES).strip().lower()
    if protect not in (_YES, _NO):
        raise DataError(f"{where}: `protect` is yes or no, got {shortened(protect)!r}")
    face = Face(left=left, top=top, right=right, bottom=bottom, score=score)
    return Box(face=face, protect=protect == _YES)


def _moment(row: Row, where: str) -> tuple[str, int]:
    """Return which track of a film a row belongs to, and its milliseconds."""
    name, time = ((row.get(column) or "").strip() for column in ("track", "time"))
    if not name or not time:
        raise DataError(
            f"{where}: a box of a film needs a `track`, which all rows of one face share, and a "
            f"`time` in seconds; got {shortened(name)!r} and {shortened(time)!r}"
        )
    if len(name) > _LONGEST:
        raise DataError(f"{where}: `track` has at most {_LONGEST} characters, got {len(name):,}")
    try:
        return name, read_time(time)
    except ValueError as error:
        raise DataError(f"{where}: `time`: {error}, got {shortened(time)!r}") from error


def _refuse_moment(row: Row, where: str) -> None:
    if (row.get("track") or "").strip() or (row.get("time") or "").strip():
        raise DataError(f"{where}: a photograph has no `track` and no `time`; leave both empty")


@dataclass(slots=True)
class _Gathered:
    """The rows of one track that were read so far, by their times."""

    rows: dict[int, tuple[Box, str]] = field(default_factory=dict)

    def add(self, ms: int, box: Box, where: str) -> None:
        for other, there in list(self.rows.values())[:1]:
            if box.protect != other.protect:
                raise DataError(
                    f"{where}: `protect` is {_answer(box.protect)} here and "
                    f"{_answer(other.protect)} in {there}: give all rows of a track the same, or "
                    "give the rows of one part another `track`"
                )
        if ms in self.rows:
            raise DataError(
                f"{where}: the track has a row for {seconds(ms)} already, in {self.rows[ms][1]}"
            )
        self.rows[ms] = (box, where)

    def track(self, name: str) -> Track:
        points = tuple((ms, self.rows[ms][0].face) for ms in sorted(self.rows))
        return Track(name=name, points=points, protect=next(iter(self.rows.values()))[0].protect)
