"""`boxes.csv`: every face of every photograph, to be read, corrected and given back.

One row a face; a photograph without any has one row with empty cells, so that a file that nobody
went through is told from one that shows nobody.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Final

from sfumato.data.leftout import FILE_COLUMN, shortened, table_of
from sfumato.errors import DataError
from sfumato.files import read_limited, write_bytes
from sfumato.photo.find.box import Face

COLUMNS: Final = (FILE_COLUMN, "left", "top", "right", "bottom", "score", "protect")
_LIMIT_BYTES: Final = 256 << 20
_YES, _NO = "yes", "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A face, and whether it is protected."""

    face: Face
    protect: bool


Boxes = Mapping[str, Sequence[Box]]
"""What is known of each photograph, by its path inside the folder."""


def write_boxes(path: Path, boxes: Boxes) -> None:
    """Write the table, readable by its owner alone: the names are private."""
    rows = [list(COLUMNS)]
    for file, found in sorted(boxes.items()):
        rows += [_row(file, box) for box in found] or [[file, *[""] * (len(COLUMNS) - 1)]]
    write_bytes(path, table_of(rows), mode=0o600)


def _row(file: str, box: Box) -> list[str]:
    face = box.face
    places = (face.left, face.top, face.right, face.bottom)
    numbers = [*(f"{place:.1f}" for place in places), f"{face.score:.3f}"]
    return [file, *numbers, _YES if box.protect else _NO]


def read_boxes(path: Path) -> dict[str, list[Box]]:
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
    boxes: dict[str, list[Box]] = {}
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        missing = [name for name in COLUMNS[:5] if name not in (rows.fieldnames or ())]
        if missing:
            raise DataError(f"{path}: expected a column {missing[0]!r} in the first line")
        for row in rows:
            found = boxes.setdefault(row[FILE_COLUMN] or "", [])
            if any(row[name] for name in COLUMNS[1:5]):
                found.append(_box(row, f"{path}:{rows.line_num}"))
    except csv.Error as error:
        raise DataError(f"{path}: {error}; expected CSV") from error
    return boxes


def _box(row: Mapping[str, str | None], where: str) -> Box:
    try:
        places = [float(row[name] or "") for name in COLUMNS[1:5]]
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
