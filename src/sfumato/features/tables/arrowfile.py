"""Vectors as a column of Arrow or Parquet, or of a folder that `datasets` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Shaped
from torch import Tensor

from sfumato.errors import FormatError, InputError
from sfumato.features.tables.table import (
    LIMIT_BYTES,
    FeatureTable,
    Source,
    Vectors,
    beside,
    check_placed,
    choose,
    widened,
)
from sfumato.files import MALFORMED, replacing

Array = npt.NDArray[np.generic]
_ROWS = 1 << 13  # decoded at once
_MAGIC = b"ARROW1"
_STATE_LIMIT = 1 << 20  # bytes of JSON; one that is cut there is none
Batches = Iterator[pa.RecordBatch]


def inspect(sources: Sequence[Source], column: str | None, file: str) -> Vectors:
    """Return what the files, one after the other, hold: every row is read, a few at a time.

    Raises:
        FormatError: a file is damaged, or a row holds no vector of the others' length.
        InputError: `column` is not there, or several could be meant.
    """
    with _guarded(file):
        name = _chosen(_schema(sources[0]), column, file)
        count, width = 0, None
        for batch in _batches(sources, name):
            rows = _rows(batch.column(name), name, count, width, file)
            count, width = count + len(rows), _width(rows, width)
    return Vectors(name, (count, width or 0))


def read(sources: Sequence[Source], column: str | None, file: str) -> FeatureTable:
    """Return the files' rows, one file after the other.

    Raises:
        FormatError: a file is damaged or too large, or a row holds no vector of the others' length.
        InputError: `column` is not there, or several could be meant.
    """
    with _guarded(file):
        schema = _schema(sources[0])
        name = _chosen(schema, column, file)
        count, taken, width = 0, 0, None
        vectors: list[Tensor] = []
        others = []
        for batch in _batches(sources):
            rows = _rows(batch.column(name), name, count, width, file)
            width = _width(rows, width)
            taken += batch.nbytes + rows.nbytes
            if taken > LIMIT_BYTES:
                raise FormatError(f"{file}: expected at most {LIMIT_BYTES:,} bytes of rows")
            if len(rows) or width:
                vectors.append(torch.from_numpy(rows.copy()))
            others.append(batch.drop_columns([name]))
            count += len(rows)
        rest = schema.remove(schema.get_field_index(name)).remove_metadata()
        found, lost = _metadata(schema.metadata)
        return FeatureTable(
            vectors=torch.cat(vectors) if vectors else torch.empty(0, 0),
            columns=pa.Table.from_batches([b.cast(rest) for b in others], rest),
            metadata=found,
            name=name,
            unplaced=lost,
        )


def write_parquet(table: FeatureTable, path: Path, *, mode: int) -> None:
    """Write a Parquet file with the vectors as a list column.

    Raises:
        InputError: the vectors are no rows of numbers, or something would be lost.
    """
    whole = _whole(table, ".parquet")
    with replacing(path, mode=mode) as part:
        pq.write_table(whole, part)


def write_arrow(table: FeatureTable, path: Path, *, mode: int) -> None:
    """Write an Arrow file, as `write_parquet` does."""
    whole = _whole(table, ".arrow")
    with (
        replacing(path, mode=mode) as part,
        pa.OSFile(str(part), "wb") as sink,
        pa.ipc.new_file(sink, whole.schema) as file,
    ):
        file.write_table(whole)


def data_files(state: Source) -> list[str]:
    """Return the names of the Arrow files that `state.json` of a `datasets` folder lists.

    Raises:
        FormatError: it lists none, or a name that lies elsewhere.
    """
    try:
        content = state if isinstance(state, bytes) else _short(state)
        names = [str(entry["filename"]) for entry in json.loads(content)["_data_files"]]
    except MALFORMED as error:
        raise FormatError(f"state.json: expected that of a datasets folder: {error!r}") from error
    foreign = [n for n in names if not n or n != Path(n).name or "\\" in n or n[0] == "."]
    if not names or foreign:
        raise FormatError(f"state.json: expected files of its own folder, got {foreign or names}")
    return names


def _short(state: Path) -> bytes:
    with state.open("rb") as stream:
        return stream.read(_STATE_LIMIT)


def _whole(table: FeatureTable, form: str) -> pa.Table:
    check_placed(table, form)
    if table.vectors.ndim != 2:
        raise InputError(
            f"expected a vector a row for {form}, got {tuple(table.vectors.shape)}; "
            "choose .npy or .features"
        )
    array = np.ascontiguousarray(widened(table.vectors, form).numpy())
    column = pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), array.shape[1])
    whole = beside(table.columns, table.name, column)
    return whole.replace_schema_metadata(dict(table.metadata) or None)


@contextmanager
def _guarded(file: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, MemoryError, *MALFORMED) as error:
        if isinstance(error, InputError):
            raise
        raise FormatError(f"{file}: expected whole Arrow or Parquet: {error}") from error


def _opened(source: Source) -> Any:  # noqa: ANN401 - pyarrow is not typed
    return pa.BufferReader(source) if isinstance(source, bytes) else pa.memory_map(str(source))


def _start(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source[: len(_MAGIC)]
    with source.open("rb") as stream:
        return stream.read(len(_MAGIC))


def _schema(source: Source) -> pa.Schema:
    start = _start(source)
    with _opened(source) as stream:
        if start.startswith(b"PAR1"):
            return pq.ParquetFile(stream).schema_arrow
        opened = pa.ipc.open_file if start == _MAGIC else pa.ipc.open_stream
        return opened(stream).schema


def _batches(sources: Sequence[Source], column: str | None = None) -> Batches:
    for source in sources:
        start = _start(source)
        with _opened(source) as stream:
            if start.startswith(b"PAR1"):
                # A name with a dot is a path inside a column.
                columns = None if column is None or "." in column else [column]
                some: Batches = pq.ParquetFile(stream).iter_batches(_ROWS, columns=columns)
            elif start == _MAGIC:
                file = pa.ipc.open_file(stream)
                some = (file.get_batch(i) for i in range(file.num_record_batches))
            else:
                some = iter(pa.ipc.open_stream(stream))
            for batch in some:
                batch.validate(full=True)
                yield batch


def _chosen(schema: pa.Schema, column: str | None, file: str) -> str:
    # Several columns of one name could not be told apart.
    names = schema.names
    if len(names) != len(frozenset(names)):
        raise FormatError(f"{file}: expected every column once, got {names}")
    return choose({f.name: (0, 0) for f in schema if _vectors(f.type)}, column, file)


def _vectors(kind: pa.DataType) -> bool:
    kind = kind.storage_type if isinstance(kind, pa.FixedShapeTensorType) else kind
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(is_one(kind) for is_one in lists):
        return False
    return bool(pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))


def _rows(
    array: pa.Array, name: str, start: int, width: int | None, file: str
) -> Shaped[np.ndarray, "n d"]:
    """Return some rows, which begin at row `start`, as `width` numbers each."""
    if isinstance(array.type, pa.FixedShapeTensorType):
        array = array.storage
    values = array.flatten()
    if array.null_count or values.null_count:
        raise FormatError(f"{file}: {name!r} lacks values from row {start} on; leave such rows out")
    lengths = _lengths(array)
    if width is None and pa.types.is_fixed_size_list(array.type):
        width = array.type.list_size
    width = int(lengths[0]) if width is None and len(lengths) else width or 0
    other = np.flatnonzero(lengths != width)
    if len(other):
        raise FormatError(
            f"{file}: expected {width} numbers in every row of {name!r}, "
            f"got {lengths[other[0]]} in row {start + other[0]}"
        )
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(len(array), width)


def _width(rows: Shaped[np.ndarray, "n d"], before: int | None) -> int | None:
    """Return how long the rows so far are; None while there is no row that says so."""
    return rows.shape[1] if len(rows) or rows.shape[1] else before


def _lengths(array: pa.Array) -> Array:
    if pa.types.is_fixed_size_list(array.type):
        return np.full(len(array), array.type.list_size)
    return np.asarray(array.value_lengths())


def _metadata(found: Mapping[bytes, bytes] | None) -> tuple[dict[str, str], tuple[str, ...]]:
    text, lost = {}, []
    for key, value in (found or {}).items():
        try:
            text[key.decode()] = value.decode()
        except UnicodeDecodeError:
            lost.append(f"metadata {key!r}")
    return text, tuple(lost)
