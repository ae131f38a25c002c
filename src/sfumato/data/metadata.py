"""metadata.csv and metadata.jsonl: which pictures a folder offers, and their labels.

As the image folders of the `datasets` library have them: a column `file_name`, every other one a
label. Tables come from spreadsheets and from scripts, so separators (comma, semicolon, tab),
UTF-16, blanks, columns without a name, and the two ways in which Unicode spells an accent are
read; what could be meant in two ways is refused with that reason. A table may come from a
stranger: it names no file outside its folder, and messages quote it in part.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sfumato.data.leftout import FILE_COLUMN, shortened
from sfumato.errors import DataError
from sfumato.files import MALFORMED, read_limited

METADATA = "metadata.csv"
Row = Mapping[str, str]
"""Label values by attribute; '' where there is none."""

_LINES = "metadata.jsonl"
_FOREIGN = "metadata.parquet"
_LIMIT_BYTES = 1 << 28  # a million pictures with some twenty labels each
_SEPARATORS = (",", ";", "\t")
_UNNAMED = re.compile(r"(Unnamed: \d+)?")  # how pandas writes its index, and reads it again
_log = logging.getLogger(__name__)


def is_table(file: str) -> bool:
    """Say whether a path is called like a table of metadata, in capitals or not."""
    return file.rpartition("/")[2].lower() in (METADATA, _LINES, _FOREIGN)


def find_table(folder: Path, names: Sequence[str]) -> Path:
    """Return the one table of a folder, given the names of all that are called like one.

    Raises:
        DataError: there are several, or one that is not read.
    """
    if len(names) > 1:
        raise DataError(f"{folder} has {' and '.join(sorted(names))}: keep the one that is right")
    if names[0].lower() == _FOREIGN:
        raise DataError(f"{folder / names[0]} is not read: write it as {METADATA} or {_LINES}")
    return folder / names[0]


def read_table(path: Path, files: Sequence[str]) -> dict[str, Row]:
    """Return the labels of each file that a table lists, by its path inside the table's folder.

    `files` are those that the folder has: a listed name is matched with them whatever way its
    accents are spelled. A name that matches none is kept as it is.

    Raises:
        DataError: the table cannot be read, lists a file twice, or names one outside its folder.
    """
    text = _text(path)
    lines = _lines(path, text) if path.suffix.lower() == ".jsonl" else _cells(path, text)
    names = _Names(path.parent, files)
    found: dict[str, Row] = {}
    first: dict[Path, str] = {}
    for line, row in lines:
        listed = row.pop(FILE_COLUMN, "")
        file, target = names.inside(listed, f"{path}:{line}")
        if target in first:
            other = f", before as {first[target]!r}" if first[target] != listed else ""
            raise DataError(f"{path}:{line}: {shortened(listed)!r} is listed twice{other}")
        first[target] = shortened(listed)
        found[file] = row
    return found


@dataclass(slots=True)
class _Names:
    """A folder's own files, by what is the same however it is spelled."""

    folder: Path
    files: Sequence[str]
    spelled: dict[str, list[str]] = field(default_factory=dict)
    root: Path = field(init=False)

    def __post_init__(self) -> None:
        self.root = self.folder.resolve()
        for file in self.files:
            self.spelled.setdefault(_value(file), []).append(file)

    def inside(self, listed: str, where: str) -> tuple[str, Path]:
        """Return a listed name as the folder's own path, and the file without links.

        Raises:
            DataError: it leads out of the folder.
        """
        refused = f"{where}: {shortened(listed)!r} is not inside the folder; list its own files"
        if not listed.strip() or "\0" in listed:
            raise DataError(refused)
        name = self._own(listed)
        try:
            # Links are followed, so that one that leads out of the folder is caught as well.
            target = (self.folder / name).resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError(refused) from error
        if name.split("/")[0] in ("..", ".") or not target.is_relative_to(self.root):
            raise DataError(refused)
        return name, target

    def _own(self, listed: str) -> str:
        """Return the file that is called so; else the one that is but for blanks and spelling."""
        # As it is first: a name may begin with a blank, or have two spellings side by side.
        spellings = (listed, _value(listed), listed.replace("\\", "/"))
        names = [self._relative(spelling) for spelling in spellings]
        for name in names:
            if os.path.lexists(self.folder / name):
                return name
        alike = self.spelled.get(_value(names[-1]), ())
        return alike[0] if len(alike) == 1 else self._relative(_value(spellings[-1]))

    def _relative(self, name: str) -> str:
        return Path(os.path.relpath(self.folder / name, self.folder)).as_posix()


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _text(path: Path) -> str:
    content = read_limited(path, limit_bytes=_LIMIT_BYTES, error=DataError)
    try:
        wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"cannot read {path}: it is not in UTF-8 ({error.reason} at byte {error.start:,}); "
            "save it as 'CSV UTF-8'"
        ) from error


def _cells(path: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row of a CSV with the number of its line."""
    try:
        reader = _reader(text, _separator(text))
        head: list[str] = next(reader, [])
        columns = _columns(path, head)
        width = max(columns.values()) + 1
        nameless: set[int] = set()
        for cells in reader:
            filled = {place for place, cell in enumerate(cells) if cell.strip()}
            if not filled:
                continue  # spreadsheets end in rows of empty cells
            if len(cells) < width or max(filled) >= len(head):
                raise DataError(
                    f"{path}:{reader.line_num}: expected {len(head)} cells, got {len(cells)}"
                )
            nameless |= filled - set(columns.values())
            yield reader.line_num, {name: _cell(name, cells[at]) for name, at in columns.items()}
    except csv.Error as error:
        raise DataError(f"cannot read {path}: {error}; expected CSV in UTF-8") from error
    if nameless:
        places = ", ".join(str(place + 1) for place in sorted(nameless))
        _log.warning("%s: ignored what has no name: column %s", path, places)


def _reader(text: str, separator: str) -> Any:  # noqa: ANN401 - csv names no type of it
    stream = io.StringIO(text, newline="")
    return csv.reader(stream, delimiter=separator, skipinitialspace=True, strict=True)


def _separator(text: str) -> str:
    """Return the separator with which the first line has the column of files, else a comma."""
    for separator in _SEPARATORS:
        with suppress(csv.Error):
            if FILE_COLUMN in map(_value, next(_reader(text, separator), ())):
                return separator
    return ","


def _columns(path: Path, head: Sequence[str]) -> dict[str, int]:
    """Return where each named column is.

    Raises:
        DataError: none is called `file_name`, or two have one name.
    """
    names = [_value(name) for name in head]
    places = {name: at for at, name in enumerate(names) if not _UNNAMED.fullmatch(name)}
    if FILE_COLUMN not in places:
        got = shortened(", ".join(map(repr, places))) or "nothing"
        raise DataError(f"{path}: expected a column {FILE_COLUMN!r} in the first line, got {got}")
    for name, at in places.items():
        if names.index(name) != at:
            raise DataError(f"{path}: expected no column twice, got {shortened(name)!r} twice")
    return places


def _lines(path: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each line's object with the number of the line; '' where a key is missing.

    A key that is no name is what a column without one is: the index that pandas wrote.
    """
    rows = []
    for number, line in enumerate(io.StringIO(text), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line, object_pairs_hook=partial(_object, where))
        except MALFORMED as error:
            raise DataError(f"{where}: expected one JSON object a line: {error}") from error
        if not isinstance(row, dict) or FILE_COLUMN not in row:
            raise DataError(f"{where}: expected a JSON object with {FILE_COLUMN!r}")
        rows.append((number, row))
    keys = dict.fromkeys(name for _, row in rows for name in row)
    names = [name for name in keys if not _UNNAMED.fullmatch(name)]
    if len(names) < len(keys):
        nameless = ", ".join(repr(key) for key in keys if key not in names)
        _log.warning("%s: ignored what has no name: key %s", path, shortened(nameless))
    for number, row in rows:
        yield number, {name: row.get(name, "") for name in names}


def _object(where: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, str]:
    row: dict[str, str] = {}
    for key, value in pairs:
        name = _value(key)
        if name in row:
            raise DataError(f"{where}: expected no name twice, got {shortened(name)!r} twice")
        if isinstance(value, (dict, list)):
            raise DataError(f"{where}: expected text or a number as {shortened(name)!r}")
        text = value if isinstance(value, str) else json.dumps(value)
        if _surrogate(name + text):
            raise DataError(f"{where}: expected whole characters, got half of a pair")
        row[name] = "" if value is None else _cell(name, text)
    return row


def _surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _cell(name: str, text: str) -> str:
    """Return what a cell holds. A file's name is kept as it is, to be looked for as it is."""
    return text if name == FILE_COLUMN else _value(text)


def _value(text: str) -> str:
    return _composed(text.strip())
