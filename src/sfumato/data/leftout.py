"""Files that a command left out, each with the reason: as a line for people, and as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from sfumato.files import write_bytes
from sfumato.printable import printable

FILE_COLUMN = "file_name"
"""The column that names each picture, as in the hub's image folders."""

_NAMED = 3  # files that a message names; the table has all
_LONGEST = 200  # characters of a file's name in a message: it may come from a stranger's table


class LeftOut(NamedTuple):
    """A file, by its path inside the folder, and why it is not taken."""

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{shortened(self.file)}: {self.reason}"


def shortened(text: str) -> str:
    """Return a text that is fit for a message: of bounded length, in one line."""
    line = printable(" ".join(text.splitlines()))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def named(left_out: Sequence[LeftOut], total: int | None = None) -> str:
    """Return the first few files with their reasons, and how many more of `total` there are."""
    more = (len(left_out) if total is None else total) - _NAMED
    some = "; ".join(map(str, left_out[:_NAMED]))
    return some + (f"; and {more:,} more" if more > 0 else "")


def write_list(path: Path, left_out: Sequence[LeftOut]) -> None:
    """Write a table of what was left out, readable by its owner alone: the names are private."""
    write_bytes(path, table_of([(FILE_COLUMN, "reason"), *left_out]), mode=0o600)


def read_list(path: Path, most: int) -> list[LeftOut]:
    """Return the first `most` entries of such a table."""
    with path.open(encoding="utf-8", newline="") as stream:
        return [LeftOut(*row) for row in islice(csv.reader(stream), 1, most + 1)]


def as_text(name: str) -> str:
    """Return a file's name as tables and pages show it: it may hold bytes that are no UTF-8."""
    return name.encode(errors="backslashreplace").decode()


def table_of(rows: Sequence[Sequence[str]]) -> bytes:
    """Return rows as CSV in UTF-8; blanks around a name are quoted, or readers would drop them."""
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        blanks = any(cell != cell.strip() for cell in row)
        (quoted if blanks else plain).writerow(row)
    return as_text(text.getvalue()).encode()
