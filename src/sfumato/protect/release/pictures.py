"""Write a released collection: a folder of PNGs that says nothing but what it is meant to say.

A file's name and place in a collection often tell who is in it, so released pictures are
numbered in an order drawn anew, and labels are carried over only where they are asked for. The
names of files that were left out are private too: their list lies beside the release, not in it.

Each picture is read, protected and written by itself, or by a plan of the whole collection. What
comes out therefore depends neither on how many are in memory at once, nor on an interruption.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from sfumato.counted import counted
from sfumato.data.decoding.decode import encode_png
from sfumato.data.imageset import MISSING
from sfumato.data.lazy import FolderImages, LoadedImages, Picture
from sfumato.data.leftout import LeftOut
from sfumato.data.pixels import as_uint8
from sfumato.errors import DataError
from sfumato.outputs import refuse_inside, refuse_taken
from sfumato.progress import Executor, sequential, track
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.protect.release.alone import alone
from sfumato.protect.release.foreseen import Foreseen, foreseen
from sfumato.protect.release.noise import drawn_order, fresh_secret, secret_draws
from sfumato.protect.release.parts import Part, begin, under_way
from sfumato.protect.release.prototypes import PlacedRelease, place_collection
from sfumato.types import Protector


@dataclass(frozen=True, slots=True)
class _Batch:
    """Released pictures as files, each one's labels, and the files that gave none."""

    files: list[bytes]
    values: list[list[str]]
    read: int
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What a release left on disk."""

    folder: Path
    count: int
    left_out: int
    """Files that hold no usable picture; `left_out_list(folder)` names them."""
    labels: tuple[str, ...]
    standing: Mapping[str, Any] | None = None
    """What each released record was counted to stand for, by a protector of collections."""


def write_pictures(
    protector: Protector,
    images: FolderImages | LoadedImages,
    out: Path,
    *,
    labels: Sequence[str] = (),
    batch_size: int = 256,
    executor: Executor = sequential,
) -> Released:
    """Release a collection of any size into a folder, in memory for a few batches at a time.

    `labels` are carried over into its metadata.csv. Batches are made by one process or many
    machines, all of which must see the pictures, and written here in order. Interrupted, it
    leaves a folder `.NAME.part` and goes on from there when it is started again with the same
    protector, pictures and labels, told by their content. `out` appears when it is whole; the
    files that gave no picture are listed, each with the reason, in `NAME.left-out.csv` beside it.

    Raises:
        DataError: a label does not exist, no file is a usable picture, or the protector does not
            give pictures.
        InputError: `out` exists already or cannot be written, or what is there of it was made of
            something else.
    """
    check_new(images, out, labels)
    part = begin(protector, images, out, labels)
    order = drawn_order(part.secret, len(images))
    starts = range(part.progress.read, len(images), batch_size)
    batches = [order[start : start + batch_size] for start in starts]
    placed = None
    if isinstance(protector, PrototypeAnonymizer):
        placed = place_collection(
            protector, images, labels, secret=part.secret, batch_size=batch_size, executor=executor
        )
    release = partial(_released, placed or protector, images, tuple(labels), part.secret)
    for batch in track(executor(release, batches), f"release {protector.name}", total=len(batches)):
        part.keep(batch.files, batch.values, batch.left_out, read=batch.read)
    if not part.progress.written:
        raise DataError(_nothing(part, images))
    part.finish(out)
    return Released(
        folder=out,
        count=part.progress.written,
        left_out=part.progress.left_out,
        labels=tuple(labels),
        standing=None if placed is None else placed.standing,
    )


def plan_pictures(
    protector: Protector, images: FolderImages | LoadedImages, out: Path, labels: Sequence[str]
) -> Foreseen:
    """Return what `write_pictures` would do; a few pictures are released and thrown away.

    Raises:
        DataError, InputError: as `write_pictures`, but for what only shows when all is read.
    """
    check_new(images, out, labels)
    found = under_way(protector, images, out, labels)
    alone = not isinstance(protector, PrototypeAnonymizer)  # else all are placed together first
    some = partial(_released, protector, images, tuple(labels), fresh_secret())
    return foreseen(
        images, done=0 if found is None else found.read, release=some if alone else None
    )


def check_new(images: FolderImages | LoadedImages, out: Path, labels: Sequence[str]) -> None:
    """Raise a DataError of an unknown label, and an InputError where `out` cannot be new."""
    check_labels(images, labels)
    refuse_taken(out, "the release")
    if isinstance(images, FolderImages):
        refuse_inside(out, images.path)


def check_labels(images: FolderImages | LoadedImages, labels: Sequence[str]) -> None:
    """Raise a DataError that lists the labels there are, where one to keep is not among them."""
    unknown = [label for label in labels if label not in images.classes]
    if unknown:
        known = ", ".join(sorted(images.classes)) or "none"
        raise DataError(f"{images.name} has no label {unknown[0]!r} to keep; it has: {known}")


def _nothing(part: Part, images: FolderImages | LoadedImages) -> str:
    reasons = part.named()
    shutil.rmtree(part.folder, ignore_errors=True)
    return (
        f"{images.name}: none of its {counted(part.progress.left_out, 'file')} is usable: {reasons}"
    )


def _released(
    protector: Protector | PlacedRelease,
    images: FolderImages | LoadedImages,
    labels: Sequence[str],
    secret: bytes,
    positions: Sequence[int],
) -> _Batch:
    some = images.read(positions)
    return _Batch(
        files=[_file(protector, picture, secret, images.classes) for picture in some.pictures],
        values=[
            [_value(images.classes[label], picture.labels[label]) for label in labels]
            for picture in some.pictures
        ],
        read=len(positions),
        left_out=some.left_out,
    )


def _file(
    protector: Protector | PlacedRelease,
    picture: Picture,
    secret: bytes,
    classes: Mapping[str, Sequence[str]],
) -> bytes:
    if isinstance(protector, PlacedRelease):
        return encode_png(as_uint8(protector.at(picture.position))[0])
    person = _person(protector.drawn_per, picture, classes)
    with alone(picture), secret_draws(secret, picture.pixels, person):
        released = as_pictures(protector.release(picture.floats()), protector.name)
    return encode_png(released[0])


def _person(
    label: str | None, picture: Picture, classes: Mapping[str, Sequence[str]]
) -> str | None:
    """Return the name whose pictures share one draw, where the set has it."""
    value = MISSING if label is None else picture.labels.get(label, MISSING)
    return None if label is None or value == MISSING else classes[label][value]


def as_pictures(release: Tensor, name: str) -> UInt8[Tensor, "n c h w"]:
    """Return released images in [0, 1] as 8-bit pictures.

    Raises:
        DataError: the release is no stack of grey or RGB images.
    """
    if not (release.is_floating_point() and release.ndim == 4 and release.shape[1] in (1, 3)):
        raise DataError(
            f"{name} releases {release.dtype} of shape {tuple(release.shape[1:])}; a folder of "
            "pictures takes floats in [0, 1] of shape (1 or 3, height, width) only"
        )
    return as_uint8(release)


def _value(names: Sequence[str], value: int) -> str:
    return "" if value == MISSING else names[value]
