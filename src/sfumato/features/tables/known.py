"""Columns beside features: the file's name and the labels of each row, as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from sfumato.data.leftout import FILE_COLUMN, as_text
from sfumato.errors import DataError
from sfumato.features.tables.table import NAME

_POSITION = "position"


class Row(NamedTuple):
    """Which picture of its set a row is of, and its labels as positions in `classes`."""

    position: int
    file: str | None
    labels: Mapping[str, int]


def check_names(labels: Iterable[str]) -> None:
    """Raise a DataError where a label has the name of a column."""
    taken = [label for label in labels if label in (NAME, FILE_COLUMN, _POSITION)]
    if taken:
        raise DataError(f"a label cannot be called {taken[0]!r}, as a column is; rename it")


def columns_of(rows: Sequence[Row], classes: Mapping[str, tuple[str, ...]]) -> pa.Table:
    """Return a row a picture: its file's name, or else its position; a missing label is null."""
    first: dict[str, pa.Array]
    if all(row.file is not None for row in rows):
        # A name on disk may hold bytes that are no UTF-8; they are shown, not refused.
        names = [as_text(row.file or "") for row in rows]
        first = {FILE_COLUMN: pa.array(names, pa.string())}
    else:
        first = {_POSITION: pa.array([row.position for row in rows], pa.int64())}
    labels = {
        label: pa.array([_value(values, row.labels[label]) for row in rows], pa.string())
        for label, values in classes.items()
    }
    return pa.table(first | labels)


def _value(values: tuple[str, ...], at: int) -> str | None:
    return values[at] if at >= 0 else None
