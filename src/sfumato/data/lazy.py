"""Images that are decoded when they are asked for, so that a set may be larger than memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sfumato.data.assemble import stack
from sfumato.data.folder import Rows, decode_files, folder_rows, labels_of, values_of
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions
from sfumato.data.sources import load_with
from sfumato.errors import DataError


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

    def read(self, positions: Sequence[int]) -> ImageSet:
        """Return the images at these positions, in this order."""
        return self.images.subset(positions)


@dataclass(frozen=True, slots=True)
class FolderImages:
    """The user's own pictures: nothing is decoded before it is read, nothing is kept after."""

    path: Path
    options: SourceOptions
    rows: Rows
    order: tuple[str, ...]
    classes: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.order)

    @property
    def name(self) -> str:
        """Name of the set."""
        return f"folder:{self.path}"

    def read(self, positions: Sequence[int]) -> ImageSet:
        """Decode the pictures at these positions; unusable ones are named in `skipped`.

        Raises:
            DataError: none of them is usable, or they differ in size and the options give none.
        """
        wanted = [self.order[i] for i in positions]
        images, skipped = decode_files(self.path, wanted, self.options)
        if not images:
            raise DataError(f"{self.name}: none of {len(wanted)} files is usable: {skipped[0]}")
        files = [file for file in wanted if file in images]
        return ImageSet(
            name=self.name,
            images=stack([images[file] for file in files], self.name),
            labels=labels_of([self.rows[file] for file in files], self.classes),
            classes=self.classes,
            files=tuple(files),
            skipped=tuple(skipped),
        )


def open_lazily(name: str, options: SourceOptions) -> LoadedImages | FolderImages:
    """Return the named set: `folder:PATH` decoded on demand, any other as `load` gives it.

    Raises:
        DataError: as `load` does; an empty folder.
    """
    kind, _, rest = name.partition(":")
    if kind != "folder" or not rest or options.count is not None:
        return LoadedImages(load_with(name, options))
    path = Path(rest).absolute()  # also another process on this machine finds it
    rows = folder_rows(path)
    if not rows:
        raise DataError(f"expected at least 1 picture in {path}: it is empty")
    return FolderImages(path, options, rows, tuple(sorted(rows)), values_of(list(rows.values())))
