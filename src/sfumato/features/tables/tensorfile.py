"""Vectors in a safetensors file under any name; columns lie in it as an Arrow stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import torch
from torch import Tensor

from sfumato.errors import FormatError
from sfumato.features.tables.table import (
    LIMIT_BYTES,
    NUMBERS,
    FeatureTable,
    Source,
    Vectors,
    beside,
    check_placed,
    choose,
)
from sfumato.files import MALFORMED, map_tensors, unpack_tensors, write_tensors

_COLUMNS = "sfumato.columns"
_METADATA = "sfumato"
_LENGTH_BYTES = 8
_HEADER_LIMIT = 100_000_000  # the format's own


def inspect(source: Source, column: str | None, file: str) -> Vectors:
    """Return what a safetensors file says of its vectors.

    Raises:
        FormatError: it is none, or empty.
        InputError: `column` is not there, or several could be meant.
    """
    tensors = _tensors(source, file)
    name = choose(_shapes(tensors), column, file)
    return Vectors(name, tuple(tensors[name].shape))


def read(source: Source, column: str | None, file: str) -> FeatureTable:
    """Return a safetensors file, mapped where it is on disk.

    Raises:
        FormatError: it is none, or its columns are not what we write.
        InputError: `column` is not there, or several could be meant.
    """
    tensors = _tensors(source, file)
    name = choose(_shapes(tensors), column, file)
    vectors = tensors[name]
    others = {key: value for key, value in tensors.items() if key not in (name, _COLUMNS)}
    alike = {k: v for k, v in others.items() if v.ndim == 1 and v.shape == vectors.shape[:1]}
    table = _columns(tensors.get(_COLUMNS), file)
    for key, values in alike.items():
        if values.dtype in (*NUMBERS, torch.bool):  # Arrow has no others
            table = beside(table, key, pa.array(values.numpy()))
    return FeatureTable(
        vectors=vectors,
        columns=table,
        metadata=_metadata(source, file),
        name=name,
        unplaced=tuple(key for key in others if key not in table.column_names),
    )


def write(table: FeatureTable, path: Path, *, mode: int) -> None:
    """Write vectors, columns and metadata of any type."""
    check_placed(table, "safetensors")
    tensors = {table.name: table.vectors.detach().cpu().contiguous()}
    if table.columns.num_columns:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.columns.schema) as stream:
            stream.write_table(table.columns)
        content = bytearray(sink.getvalue().to_pybytes())
        tensors[_COLUMNS] = torch.frombuffer(content, dtype=torch.uint8)
    write_tensors(path, tensors, table.metadata, mode=mode)


def _tensors(source: Source, file: str) -> dict[str, Tensor]:
    try:
        if isinstance(source, bytes):
            return unpack_tensors(source, limit_bytes=LIMIT_BYTES)[0]
        return map_tensors(source)[0]
    except FormatError as error:
        raise FormatError(f"{file}: expected a features file: {error}") from error


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items() if name != _COLUMNS}


def _columns(packed: Tensor | None, file: str) -> pa.Table:
    if packed is None:
        return pa.table({})
    try:
        with pa.ipc.open_stream(pa.py_buffer(packed.numpy().tobytes())) as stream:
            table = stream.read_all()
        table.validate(full=True)
        table.column_names  # noqa: B018 - not every name is text, which is found out when asked
    except (OSError, pa.ArrowException, *MALFORMED) as error:
        raise FormatError(f"{file}: its columns are no Arrow stream: {error}") from error
    return table


def _metadata(source: Source, file: str) -> dict[str, str]:
    """Return all metadata: those of Sfumato, and those of whoever else wrote the file."""
    if isinstance(source, bytes):
        length = int.from_bytes(source[:_LENGTH_BYTES], "little")
        content = source[_LENGTH_BYTES : _LENGTH_BYTES + length]
    else:
        with source.open("rb") as stream:
            length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
            content = stream.read(min(length, _HEADER_LIMIT))
    try:
        found = dict(json.loads(content).get("__metadata__", {}))
        own = dict(json.loads(found.pop(_METADATA, "{}")))
    except MALFORMED as error:
        raise FormatError(f"{file}: expected metadata in JSON: {error}") from error
    return {str(key): str(value) for key, value in (found | own).items()}
