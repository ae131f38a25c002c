"""Write a released collection: a folder of PNGs that says nothing but what it is meant to say.

A file's name and place in a collection often tell who is in it, so released pictures are
numbered in an order drawn anew, and labels are carried over only where they are asked for.
"""

from __future__ import annotations

import csv
import io
import json
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from sfumato.data.decode import encode_png
from sfumato.data.folder import FILE_COLUMN, METADATA
from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.lazy import FolderImages, LoadedImages
from sfumato.errors import DataError, InputError
from sfumato.files import swap_folder, write_bytes
from sfumato.progress import Over, in_turn, track
from sfumato.protect.unguessable import unguessable
from sfumato.types import Protector

_STATE = ".progress.json"


@dataclass(slots=True)
class _Progress:
    """How far an interrupted release came; lies in its folder until that is whole."""

    made_of: str
    seed: int
    read: int = 0
    written: int = 0
    table_bytes: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class _Batch:
    """Released pictures as files, and each one's labels."""

    files: list[bytes]
    values: list[list[str]]
    read: int
    skipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What a release left on disk."""

    folder: Path
    count: int
    skipped: int
    labels: tuple[str, ...]


def write_pictures(
    protector: Protector,
    images: FolderImages | LoadedImages,
    out: Path,
    *,
    labels: Sequence[str] = (),
    batch_size: int = 256,
    made_of: str = "",
    over: Over = in_turn,
) -> Released:
    """Release a collection of any size into a folder, in memory for a few batches at a time.

    `labels` are carried over into its metadata.csv. Batches are made `over` one process or many
    machines, all of which must see the pictures, and written here in order. Interrupted, it
    leaves a folder `.NAME.part` and goes on from there when it is started again with the same
    `made_of` (any string that names protector, data and settings). `out` appears when it is whole.

    Raises:
        DataError: a label does not exist, or the protector does not give pictures.
        InputError: `out` exists already, or cannot be written.
    """
    unknown = [label for label in labels if label not in images.classes]
    if unknown:
        known = ", ".join(sorted(images.classes)) or "none"
        raise DataError(f"{images.name} has no label {unknown[0]!r} to keep; it has: {known}")
    if out.exists():
        raise InputError(f"{out} exists already; choose another folder for the release")
    part = out.with_name(f".{out.name}.part")
    progress = _begin(part, made_of)
    generator = torch.Generator().manual_seed(progress.seed)
    order = torch.randperm(len(images), generator=generator).tolist()
    starts = range(progress.read, len(images), batch_size)
    batches = [order[start : start + batch_size] for start in starts]
    release = partial(_released, protector, images, tuple(labels))
    for batch in track(over(release, batches), f"release {protector.name}", total=len(batches)):
        _keep(batch, part, labels, progress)
    if not progress.written:
        raise DataError(f"{images.name}: none of its {len(images):,} files is a usable picture")
    (part / _STATE).unlink(missing_ok=True)
    swap_folder(part, out)
    return Released(
        folder=out, count=progress.written, skipped=progress.skipped, labels=tuple(labels)
    )


def _begin(part: Path, made_of: str) -> _Progress:
    """Return where an interrupted release of the same thing stopped, or start a new folder."""
    found = None
    with suppress(OSError, ValueError, TypeError):
        found = _Progress(**json.loads((part / _STATE).read_bytes()))
    if found is not None and found.made_of != made_of:
        raise InputError(
            f"{part} is an interrupted release of something else; finish that, or delete the folder"
        )
    if found is not None:
        return found
    try:
        part.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {part}: {error.strerror}; choose another place") from error
    return _Progress(made_of=made_of, seed=secrets.randbits(63))


def _released(
    protector: Protector,
    images: FolderImages | LoadedImages,
    labels: Sequence[str],
    positions: Sequence[int],
) -> _Batch:
    some = images.read(positions)
    with unguessable():
        release = protector.release(some.floats())
    pictures = as_pictures(release, protector.name)
    return _Batch(
        files=[encode_png(picture) for picture in pictures],
        values=[[_value(some, label, i) for label in labels] for i in range(len(pictures))],
        read=len(positions),
        skipped=len(some.skipped),
    )


def _keep(batch: _Batch, part: Path, labels: Sequence[str], progress: _Progress) -> None:
    rows = []
    for i, (content, values) in enumerate(zip(batch.files, batch.values, strict=True)):
        file = f"{progress.written + i:08d}.png"
        (part / file).write_bytes(content)
        rows.append([file, *values])
    head = [[FILE_COLUMN, *labels]] if not progress.table_bytes else []
    table = _csv(head + rows)
    with (part / METADATA).open("ab") as stream:
        stream.truncate(progress.table_bytes)
        stream.write(table)
    progress.read += batch.read
    progress.written += len(rows)
    progress.table_bytes += len(table)
    progress.skipped += batch.skipped
    write_bytes(part / _STATE, json.dumps(asdict(progress)).encode())


def as_pictures(release: Tensor, name: str) -> UInt8[Tensor, "n c h w"]:
    """Return released images in [0, 1] as 8-bit pictures.

    Raises:
        DataError: the release is no stack of grey or RGB images.
    """
    if not (release.is_floating_point() and release.ndim == 4 and release.shape[1] in (1, 3)):
        raise DataError(
            f"{name} releases {release.dtype} of shape {tuple(release.shape[1:])}, which is no "
            "picture; release it as a data set of maps"
        )
    return (release.clamp(0, 1) * 255).round().to(torch.uint8)


def _value(images: ImageSet, label: str, i: int) -> str:
    value = int(images.labels[label][i])
    return "" if value == MISSING else images.classes[label][value]


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
