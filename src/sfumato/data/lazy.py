"""Pictures that are decoded when they are asked for, so that a set may be larger than memory.

Each is read in its own size and colour, whatever its neighbours are.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from sfumato.data.assemble import no_split
from sfumato.data.folder import (
    AT_ONCE,
    Rows,
    decode_enough,
    decode_files,
    offered,
    shuffled,
    too_few,
    values_of,
)
from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.leftout import LeftOut
from sfumato.data.options import SourceOptions
from sfumato.data.sources import folder_named, load_with
from sfumato.errors import DataError
from sfumato.progress import track


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture, where it is in its set, and its labels as positions in `classes`."""

    position: int
    pixels: UInt8[Tensor, "c h w"]
    labels: Mapping[str, int]

    def floats(self) -> Float[Tensor, "1 c h w"]:
        """Return the picture in [0, 1], as a batch of one."""
        return self.pixels[None].float().div_(255)


@dataclass(frozen=True, slots=True)
class Some:
    """Pictures in the order in which they were asked for, and the files that hold none."""

    pictures: tuple[Picture, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class LoadedImages:
    """A set that is in memory, or mapped from the cache."""

    images: ImageSet

    def __len__(self) -> int:
        return len(self.images)

    @property
    def name(self) -> str:
        """Name of the set."""
        return self.images.name

    @property
    def classes(self) -> Mapping[str, tuple[str, ...]]:
        """Value names of each label."""
        return self.images.classes

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What was left out when the set was loaded."""
        return self.images.skipped

    def label(self, attribute: str) -> Int64[Tensor, " n"]:
        """Return one attribute's labels, or raise a DataError that lists those there are."""
        return self.images.label(attribute)

    def read(self, positions: Sequence[int]) -> Some:
        """Return the pictures at these positions, in this order."""
        labels = self.images.labels
        return Some(
            tuple(
                Picture(i, self.images.images[i], {name: int(labels[name][i]) for name in labels})
                for i in positions
            ),
            (),
        )

    def fingerprint(self) -> str:
        """SHA-256 (hex) over pixels and labels."""
        return self.images.fingerprint()


@dataclass(frozen=True, slots=True)
class FolderImages:
    """The user's own pictures: nothing is decoded before it is read, nothing is kept after."""

    path: Path
    options: SourceOptions
    rows: Rows
    order: tuple[str, ...]
    classes: Mapping[str, tuple[str, ...]]
    left_out: tuple[LeftOut, ...]
    """What is known to be left out before anything is read."""

    def __len__(self) -> int:
        return len(self.order)

    @property
    def name(self) -> str:
        """Name of the set."""
        return f"folder:{self.path}"

    def label(self, attribute: str) -> Int64[Tensor, " n"]:
        """Return one attribute's labels, or raise a DataError that lists those there are."""
        if attribute not in self.classes:
            known = ", ".join(sorted(self.classes)) or "none"
            raise DataError(f"{self.name} has no label {attribute!r}; it has: {known}")
        values = self.classes[attribute]
        return torch.tensor([_at(values, self.rows[file][attribute]) for file in self.order])

    def read(self, positions: Sequence[int]) -> Some:
        """Decode the pictures at these positions; files that hold none are left out by name."""
        place = {self.order[i]: i for i in positions}
        images, left_out = decode_files(self.path, list(place), self.options)
        pictures = [
            Picture(place[file], pixels, self._labels(file)) for file, pixels in images.items()
        ]
        return Some(tuple(pictures), tuple(left_out))

    def _labels(self, file: str) -> dict[str, int]:
        row = self.rows[file]
        return {name: _at(values, row[name]) for name, values in self.classes.items()}

    def fingerprint(self) -> str:
        """SHA-256 (hex) over how pictures are read, and each file's name, labels, size and time.

        Sizes and times of change stand for contents, as they do for make and rsync: reading every
        picture once more would take as long as releasing it.
        """
        how = (self.options.shape, self.options.channels, self.options.box, self.classes)
        digest = hashlib.sha256(repr(how).encode())
        for file in self.order:
            try:
                found = (self.path / file).stat()
                state = (found.st_size, found.st_mtime_ns)
            except OSError:
                state = (-1, -1)
            line = repr((file, *state, sorted(self.rows[file].items())))
            digest.update(line.encode())
        return digest.hexdigest()


def _at(values: Sequence[str], value: str) -> int:
    """Return where a value is among the sorted ones of its label."""
    return bisect_left(values, value) if value else MISSING


def decoded(
    images: LoadedImages | FolderImages, title: str, positions: Sequence[int] | None = None
) -> Iterator[Some]:
    """Yield the pictures at these positions, or all in order, some at a time, under a progress bar.

    No more of them are in memory.
    """
    wanted = range(len(images)) if positions is None else positions
    for start in track(range(0, len(wanted), AT_ONCE), title):
        yield images.read(wanted[start : start + AT_ONCE])


def open_lazily(name: str, options: SourceOptions) -> LoadedImages | FolderImages:
    """Return the named set: a folder decoded on demand, any other as `load` gives it.

    Raises:
        DataError: as `load` does; an empty folder.
    """
    folder = folder_named(name)
    if folder is None:
        return LoadedImages(load_with(name, options))
    no_split(name, options)
    path = folder.absolute()  # also another process on this machine finds it
    offer = offered(path)
    order, left_out = sorted(offer.rows), list(offer.left_out)
    if options.count is not None:
        order, refused = _drawn(path, offer.rows, options)
        left_out += refused
    if len(order) < (options.count or 1):
        raise DataError(too_few(path, options.count or 1, len(order), left_out))
    classes = values_of([offer.rows[file] for file in order])
    return FolderImages(path, options, offer.rows, tuple(order), classes, tuple(left_out))


def _drawn(path: Path, rows: Rows, options: SourceOptions) -> tuple[list[str], list[LeftOut]]:
    """Return the files of `count` usable pictures, and those that proved unusable on the way."""
    chosen: list[str] = []
    left_out: list[LeftOut] = []
    for some, refused in decode_enough(path, shuffled(rows, options), options):
        chosen += some
        left_out += refused
    return sorted(chosen), left_out
