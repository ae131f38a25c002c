"""A bank on disk: one safetensors file that is mapped, not read.

Metadata: `sfumato.bank` (format version) and `config` (JSON: dim, hidden, backbone, dtype, ids in
row order). Tensors: `<segment>.<name>` with `<segment>` from 0, as `segment.shapes` names them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sfumato.errors import BankError, InputError
from sfumato.files import MALFORMED, map_tensors, write_tensors
from sfumato.filter.bank.segment import STORED, Segment, dtypes, shapes
from sfumato.filter.bounds import are_errors

_VERSION = 1
_NAMES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBank:
    """What the file holds."""

    dim: int
    hidden: int
    backbone: str
    dtype: torch.dtype
    ids: tuple[str, ...]
    segments: list[Segment]


def write(path: Path, bank: StoredBank) -> None:
    """Write the file, whole or not at all, and wipe what is gone from the one it replaces.

    Raises:
        InputError: it cannot be written; the old file is then as it was.
    """
    config = {
        "dim": bank.dim,
        "hidden": bank.hidden,
        "backbone": bank.backbone,
        "dtype": next(name for name, dtype in _NAMES.items() if dtype == bank.dtype),
        "ids": bank.ids,
    }
    header = {"sfumato.bank": str(_VERSION), "config": json.dumps(config)}
    tensors = {
        f"{number}.{name}": tensor
        for number, segment in enumerate(bank.segments)
        for name, tensor in segment.used().items()
    }
    with _wiping(path, set(bank.ids)):
        write_tensors(path, tensors, header, mode=0o600)


def read(path: Path) -> StoredBank:
    """Map the file. Its shapes are checked; its numbers are not read, and scoring trusts none.

    Raises:
        BankError: the file is missing, damaged or of an unknown version.
    """
    tensors, header = map_tensors(path, error=BankError)
    try:
        return _checked(tensors, header)
    except BankError as error:
        raise BankError(f"{path}: {error}") from error


def _checked(tensors: dict[str, Tensor], header: dict[str, str]) -> StoredBank:
    if header.get("sfumato.bank") != str(_VERSION):
        found = header.get("sfumato.bank", "none")
        raise BankError(f"expected a bank of format version {_VERSION}, got {found}")
    try:
        config = json.loads(header["config"])
        dim, hidden = int(config["dim"]), int(config["hidden"])
        backbone, ids = str(config["backbone"]), tuple(map(str, config["ids"]))
        dtype = _NAMES[config["dtype"]]
    except MALFORMED as error:
        raise BankError(f"expected a bank's config: {error!r}") from error
    if dim < 1 or hidden < 1 or len(set(ids)) != len(ids) or dtype not in STORED:
        raise BankError("expected positive sizes and ids that differ")
    segments = list(_segments(tensors, dim, hidden, dtype))
    count = sum(segment.count for segment in segments)
    if count != len(ids):
        raise BankError(f"expected {len(ids)} enrollments, got {count}")
    return StoredBank(
        dim=dim, hidden=hidden, backbone=backbone, dtype=dtype, ids=ids, segments=segments
    )


def _segments(
    tensors: dict[str, Tensor], dim: int, hidden: int, dtype: torch.dtype
) -> Iterator[Segment]:
    kinds = dtypes(dtype)
    rows = shapes(dim, hidden)
    number = len(tensors) // len(rows)
    if set(tensors) != {f"{i}.{name}" for i in range(number) for name in rows}:
        raise BankError("expected complete segments of enrollments")
    for i in range(number):
        own = {name: tensors[f"{i}.{name}"] for name in rows}
        count = own["mu"].shape[0] if own["mu"].ndim else 0
        for name, tensor in own.items():
            if tensor.shape != (count, *rows[name]) or tensor.dtype != kinds[name] or not count:
                raise BankError(f"{i}.{name} is {tensor.dtype} {tuple(tensor.shape)}")
        if not are_errors(torch.stack([own["mu"], own["sigma"]]), dim):
            raise BankError(f"expected mu and sigma in 2^-40..{dim}")
        yield Segment(own, count)


@contextmanager
def _wiping(path: Path, kept: set[str]) -> Iterator[None]:
    """After a successful replacement, overwrite rows of the old file whose ids are not kept.

    The old file's blocks are free then, but hold what they held until something else is written.
    """
    with ExitStack() as stack:
        try:
            old = stack.enter_context(path.open("rb+"))
            gone = _ranges(path, kept)
        except (OSError, BankError):
            old, gone = None, []
        yield
        if old is None or not gone:
            return
        try:
            for offset, length in gone:
                old.seek(offset)
                old.write(bytes(length))
            old.flush()
            os.fsync(old.fileno())
        except OSError as error:
            raise InputError(
                f"{path} is saved, but the free space of the file that it replaced could not be "
                f"overwritten: {error.strerror}"
            ) from error


def _ranges(path: Path, kept: set[str]) -> list[tuple[int, int]]:
    """Return offset and length of every row in the file whose id is not kept."""
    stored = read(path)
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        layout = json.loads(file.read(size))
    ranges = []
    first = 0
    for number, segment in enumerate(stored.segments):
        gone = [r for r in range(segment.count) if stored.ids[first + r] not in kept]
        for name, tensor in segment.tensors.items():
            start = 8 + size + layout[f"{number}.{name}"]["data_offsets"][0]
            row_bytes = tensor[0].nbytes
            ranges += [(start + row * row_bytes, row_bytes) for row in gone]
        first += segment.count
    return ranges
