"""A batch of features with what is known of each row: the one shape between all forms on disk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa
import torch
from jaxtyping import Shaped
from torch import Tensor

from sfumato.errors import FormatError, InputError

_WHOLE: Final = (torch.uint8, torch.uint16, torch.uint32, torch.uint64)
_SIGNED: Final = (torch.int8, torch.int16, torch.int32, torch.int64)
_FLOATS: Final = (torch.float16, torch.float32, torch.float64)
NUMBERS: Final = frozenset((*_WHOLE, *_SIGNED, *_FLOATS))
"""Types of number that NumPy and Arrow have too."""

NAME: Final = "features"
"""What Sfumato calls the vectors in the files that it writes."""

LIMIT_BYTES: Final = 16 << 30
"""What a file may take in memory, decompressed."""

Source = Path | bytes
"""A file on disk, or one that was opened in memory and never lay on a disk in the clear."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """What a file says of its vectors, before they are in memory."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTable:
    """Features, a row an item, and everything that their file says besides.

    Shapes: `vectors` is `(n, ...)` of any number type; `columns` has n rows, or no column.

    Raises:
        FormatError: the parts disagree in length, or a column has the vectors' name.
    """

    vectors: Shaped[Tensor, "..."]
    columns: pa.Table = field(default_factory=lambda: pa.table({}))
    """File names, labels and other columns."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Of the whole batch: the backbone's fingerprint, the name of the image set."""
    name: str = NAME
    unplaced: tuple[str, ...] = ()
    """What the file holds besides, and no other form has a place for."""

    def __post_init__(self) -> None:
        rows = self.columns.num_rows
        if self.columns.num_columns and (self.vectors.ndim == 0 or rows != len(self.vectors)):
            raise FormatError(
                f"expected a row a vector, got {rows} and {tuple(self.vectors.shape)}"
            )
        if self.name in self.columns.column_names:
            raise FormatError(f"expected every column once, got {self.name!r} twice")

    def __len__(self) -> int:
        return len(self.vectors)


def choose(shapes: Mapping[str, Sequence[int]], column: str | None, file: str) -> str:
    """Return which of a file's arrays of numbers are the vectors: the named one, or the only one.

    Raises:
        FormatError: none is there.
        InputError: `column` is not there, or several could be meant.
    """
    if not shapes:
        raise FormatError(f"{file}: expected vectors of numbers, got none")
    listed = ", ".join(map(repr, sorted(shapes)))
    if column is not None:
        if column not in shapes:
            raise InputError(f"{file} has no vectors {column!r}; `column` may be: {listed}")
        return column
    if NAME in shapes:
        return NAME
    for fit in (_is_table, _has_rows, bool):
        found = [name for name, shape in shapes.items() if fit(shape)]
        if len(found) == 1:
            return found[0]
    raise InputError(f"{file} has several vectors; name one in `column`: {listed}")


def _is_table(shape: Sequence[int]) -> bool:
    return len(shape) == 2


def _has_rows(shape: Sequence[int]) -> bool:
    return len(shape) > 1


def check_size(shape: Sequence[int], item_bytes: int, file: str) -> None:
    """Raise a FormatError where vectors of this shape would take more memory than the limit."""
    size = math.prod(shape) * item_bytes
    if size > LIMIT_BYTES:
        raise FormatError(
            f"{file}: expected at most {LIMIT_BYTES:,} bytes of numbers, got {size:,}"
        )


def check_placed(table: FeatureTable, form: str, *, columns: bool = True) -> None:
    """Raise an InputError where a form on disk would lose something of the table."""
    if table.unplaced:
        raise InputError(
            f"{', '.join(table.unplaced[:5])} would be lost in {form}; keep the form it came in"
        )
    lost = [*table.columns.column_names, *table.metadata]
    if lost and not columns:
        raise InputError(
            f"{form} has no place for {', '.join(lost[:5])}; choose .parquet, .arrow or .features"
        )


def beside(columns: pa.Table, name: str, values: pa.Array) -> pa.Table:
    """Return a table with one more column; one without columns has no length yet."""
    if not columns.num_columns:
        return pa.table({name: values})
    return columns.append_column(name, values)


def widened(vectors: Shaped[Tensor, "..."], form: str) -> Shaped[Tensor, "..."]:
    """Return vectors as NumPy can hold them: floats that it lacks as float32, exactly.

    Raises:
        InputError: they are none of its floats or integers, or those could not be told again.
    """
    vectors = vectors.detach().cpu()
    if vectors.dtype in NUMBERS:
        return vectors
    try:
        if vectors.dtype.is_floating_point:
            return vectors.float()
    except (RuntimeError, NotImplementedError):  # several numbers in a byte
        pass
    raise InputError(
        f"expected floats or integers for {form}, got {vectors.dtype}; choose .features"
    )
