"""Vectors in NumPy's files: `.npy`, and `.npz` with other arrays beside them. Never a pickle."""

from __future__ import annotations

import io
import json
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from jaxtyping import Shaped
from torch import Tensor

from sfumato.errors import FormatError, InputError
from sfumato.features.tables.table import (
    LIMIT_BYTES,
    NAME,
    FeatureTable,
    Source,
    Vectors,
    check_placed,
    check_size,
    choose,
    widened,
)
from sfumato.files import MALFORMED, replacing

Array = npt.NDArray[np.generic]
_METADATA = "sfumato"
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_BROKEN = (
    zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError,
    SyntaxError, tokenize.TokenError, Warning, *MALFORMED,
)  # fmt: skip
_Head = tuple[tuple[int, ...], bool, np.dtype[Any]]


def inspect_npy(source: Source, column: str | None, file: str) -> Vectors:
    """Return what the head of a `.npy` file says.

    Raises:
        FormatError: it is none, or holds no numbers.
    """
    del column
    with _guarded(file), _opened(source) as stream:
        shape, _, dtype = _head(stream, _size(source), file)
        _check_numbers(dtype, file)
    return Vectors(NAME, shape)


def read_npy(source: Source, column: str | None, file: str) -> FeatureTable:
    """Return the vectors of a `.npy` file, mapped where it is on disk.

    Raises:
        FormatError: it is none, or holds no numbers.
    """
    del column
    with _guarded(file), _opened(source) as stream:
        shape, fortran, dtype = _head(stream, _size(source), file)
        _check_numbers(dtype, file)
        if isinstance(source, bytes) or not math.prod(shape):
            return FeatureTable(vectors=_tensor(_body(stream, shape, fortran, dtype)))
        order = "F" if fortran else "C"
        # Changes stay in memory.
        array = np.memmap(source, dtype, "c", stream.tell(), shape, order)  # type: ignore[call-overload]
    return FeatureTable(vectors=_tensor(array))


def write_npy(table: FeatureTable, path: Path, *, mode: int) -> None:
    """Write the vectors alone.

    Raises:
        InputError: there are columns or metadata, which a `.npy` file would lose.
    """
    check_npy(table)
    array = widened(table.vectors, ".npy").numpy()
    with replacing(path, mode=mode) as part, part.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)


def check_npy(table: FeatureTable) -> None:
    """Raise an InputError where a `.npy` file would lose something of the table."""
    check_placed(table, ".npy", columns=False)


def inspect_npz(source: Source, column: str | None, file: str) -> Vectors:
    """Return what the heads of an `.npz` file's arrays say of its vectors.

    Raises:
        FormatError: it is none, or none of its arrays holds vectors.
        InputError: `column` is not there, or several could be meant.
    """
    with _guarded(file), _archive(source, file) as archive:
        heads = {name: _member(archive, name, file, head=True)[0] for name in _names(archive)}
    shapes = {n: shape for n, (shape, _, dtype) in heads.items() if _numbers(dtype) and shape}
    name = choose(shapes, column, file)
    return Vectors(name, shapes[name])


def read_npz(source: Source, column: str | None, file: str) -> FeatureTable:
    """Return an `.npz` file: its vectors, and the arrays that have an entry a vector as columns.

    Raises:
        FormatError: it is none, an array is a pickle, or none holds vectors.
        InputError: `column` is not there, or several could be meant.
    """
    chosen = inspect_npz(source, column, file)
    with _guarded(file), _archive(source, file) as archive:
        arrays = {name: _member(archive, name, file)[1] for name in _names(archive)}
        vectors = _tensor(arrays.pop(chosen.name))
        own = arrays.get(_METADATA)
        # An array of any other shape is somebody's column, which has that name too.
        metadata = _metadata(arrays.pop(_METADATA)) if own is not None and own.ndim == 0 else {}
        alike = {n: _column(a) for n, a in arrays.items() if a.shape == chosen.shape[:1]}
        columns = {name: column for name, column in alike.items() if column is not None}
        table = pa.table(columns)
    other = tuple(name for name in arrays if name not in columns)
    return FeatureTable(
        vectors=vectors, columns=table, metadata=metadata, name=chosen.name, unplaced=other
    )


def write_npz(table: FeatureTable, path: Path, *, mode: int) -> None:
    """Write vectors and columns as arrays, and the metadata as JSON in one of their own.

    Raises:
        InputError: a column has a type, or missing values, that no array of NumPy has, or the
            metadata's name; or the vectors are no rows of numbers.
    """
    arrays = check_npz(table)
    arrays[table.name] = widened(table.vectors, ".npz").numpy()
    if not table.vectors.ndim:
        raise InputError("expected a row a vector for .npz, got one number; choose .npy")
    # `np.savez` takes names as its own arguments, of which `file` is one.
    with (
        replacing(path, mode=mode) as part,
        zipfile.ZipFile(part, "w", allowZip64=True) as archive,
    ):
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def check_npz(table: FeatureTable) -> dict[str, Array]:
    """Return columns and metadata as arrays.

    Raises:
        InputError: as `write_npz`.
    """
    check_placed(table, ".npz")
    arrays = {
        name: _array_of(table.columns.column(name), name) for name in table.columns.column_names
    }
    if table.metadata:
        if _METADATA in (*arrays, table.name):
            raise _no_place(f"column {_METADATA!r}, which is where it keeps metadata,")
        arrays[_METADATA] = np.array(json.dumps(dict(table.metadata), sort_keys=True))
    return arrays


def _array_of(column: pa.ChunkedArray, name: str) -> Array:
    kind = column.type
    refused = _no_place(f"column {name!r} ({kind}, {column.null_count} missing)")
    if column.null_count or not (pa.types.is_primitive(kind) or pa.types.is_string(kind)):
        raise refused
    values: Array = column.to_numpy()
    if pa.types.is_string(kind):
        cut = any(text.endswith("\0") for text in values.tolist())
        values = values.astype(np.str_)
    else:
        # Of a zone, say, the instants are kept and the zone is not.
        cut = values.dtype.hasobject or pa.array(values).type != kind
    if cut:
        raise refused
    return values


def _no_place(what: str) -> InputError:
    return InputError(f"{what} has no place in .npz; choose .parquet, .arrow or .features")


def _column(array: Array) -> pa.Array | None:
    """Return an array as Arrow has it; None of a type that it lacks: complex, structured, years."""
    try:
        return pa.array(_native(array))
    except pa.ArrowNotImplementedError:
        return None


@contextmanager
def _guarded(file: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        if isinstance(error, InputError):
            raise
        raise FormatError(f"{file}: expected a whole file of NumPy: {error}") from error


def _opened(source: Source) -> io.BufferedIOBase:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _size(source: Source) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size


@contextmanager
def _archive(source: Source, file: str) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > LIMIT_BYTES:
            raise FormatError(f"{file}: expected at most {LIMIT_BYTES:,} bytes, got {size:,}")
        yield archive


def _names(archive: zipfile.ZipFile) -> list[str]:
    return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def _member(
    archive: zipfile.ZipFile, name: str, file: str, *, head: bool = False
) -> tuple[_Head, Array]:
    entry = archive.getinfo(f"{name}.npy")
    with cast("io.BufferedIOBase", archive.open(entry)) as stream:
        found = _head(stream, entry.file_size, f"{file}: {name!r}")
        return found, np.empty(0) if head else _body(stream, *found)


def _head(stream: io.BufferedIOBase, size: int, file: str) -> _Head:
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise FormatError(f"{file}: expected version 1 or 2 of NumPy's format, got {version}")
    shape, fortran, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise FormatError(f"{file} holds Python objects, which are pickles; save numbers or text")
    check_size(shape, dtype.itemsize, file)
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - stream.tell():
        raise FormatError(f"{file}: its head does not agree with its length")
    return shape, fortran, dtype


def _body(
    stream: io.BufferedIOBase, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any]
) -> Array:
    flat = np.frombuffer(bytearray(stream.read()), dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _numbers(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "fiu" and dtype.itemsize <= np.dtype(np.float64).itemsize


def _check_numbers(dtype: np.dtype[Any], file: str) -> None:
    if not _numbers(dtype):
        raise FormatError(f"{file}: expected floats or integers, got {dtype}")


def _native(array: Array) -> Array:
    return array.astype(array.dtype.newbyteorder("="))


def _tensor(array: Array) -> Shaped[Tensor, "..."]:
    return torch.from_numpy(array if array.dtype.isnative else _native(array))


def _metadata(array: Array) -> Mapping[str, str]:
    found = json.loads(str(array)) if array.dtype.kind == "U" else {}
    return {str(key): str(value) for key, value in dict(found).items()}
