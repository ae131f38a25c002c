"""`hf:NAME`: any image data set of the hub, or one saved to a local folder by `datasets`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from sfumato.counted import counted
from sfumato.data.assemble import ordered, stack
from sfumato.data.decoding.content import content_of
from sfumato.data.decoding.decode import ImageLimits, decode_image
from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.leftout import LeftOut, named
from sfumato.data.options import SourceOptions
from sfumato.errors import DataError, ImageError, UnavailableError
from sfumato.extras import needs
from sfumato.files import MALFORMED, at_home

_log = logging.getLogger(__name__)
Table = Any  # a datasets.Dataset, whose import takes two seconds
Pictures = dict[int, UInt8[Tensor, "_ _ _"]]

Rename = Mapping[str, tuple[str, tuple[str, ...] | None]]
"""Column name to our label and its value names (None: as the column names them)."""


def load_hub(
    dataset: str, options: SourceOptions, *, name: str | None = None, labels: Rename | None = None
) -> ImageSet:
    """Return a data set that `datasets` can load, with every class column as a label.

    Pictures are taken as bytes and decoded here, under the limits of `decode_image`.

    Raises:
        UnavailableError: there is no network, or the hub has no such set.
        DataError: it has no image column or no such split, no image of it or fewer than `count`
            are usable, or the pictures differ in size and `size` is not given.
    """
    name = name or f"hf:{dataset}"
    table = _table(dataset, name, options)
    column = _image_column(table, name)
    kinds = labels if labels is not None else {c: (c, None) for c in _class_columns(table)}
    for missing in set(kinds) - set(_class_columns(table)):
        raise DataError(f"{name} has no class column {missing!r}; it has {_class_columns(table)}")
    values = {
        ours: tuple(names or table.features[theirs].names)
        for theirs, (ours, names) in kinds.items()
    }
    images, left_out = _enough(table, column, options, name, _homes(dataset))
    tried = len(images) + len(left_out)
    if not images:
        raise DataError(
            f"{name}: none of its {counted(tried, 'image')} is usable: {named(left_out)}"
        )
    if left_out:
        _log.warning("%s: skipped %d of %d: %s", name, len(left_out), tried, named(left_out))
    rows = table.select(list(images))
    return ImageSet(
        name=name,
        images=stack(list(images.values()), name),
        labels={ours: _numbers(rows[theirs]) for theirs, (ours, _) in kinds.items()},
        classes=values,
        split=options.split,
        skipped=tuple(left_out),
    )


def _table(dataset: str, name: str, options: SourceOptions) -> Table:
    needs("data", f"{name}, a data set of the hub,", "datasets")
    import datasets  # two seconds, and only here

    saved = at_home(dataset)
    try:
        if (saved / "dataset_dict.json").is_file() or (saved / "state.json").is_file():
            loaded = datasets.load_from_disk(str(saved))
        else:
            loaded = datasets.load_dataset(str(saved) if saved.is_dir() else dataset)
    except (OSError, RuntimeError, *MALFORMED, datasets.exceptions.DatasetsError) as error:
        if saved.is_dir():
            raise DataError(
                f"cannot read {name}, a folder of `datasets`: {_first_line(error)}; save it again, "
                "without splits that are empty"
            ) from error
        raise UnavailableError(
            f"cannot get {name} ({dataset}) from the hub: {_first_line(error)}; "
            "connect to the network, or give a data folder with its published files"
        ) from error
    if isinstance(loaded, datasets.Dataset):
        if options.split != "all":
            raise DataError(f"{name} has no splits; load all of it")
        return loaded
    if options.split == "all":
        try:
            return datasets.concatenate_datasets(list(loaded.values()))
        except ValueError as error:
            raise DataError(
                f"{name}: its splits differ in a column ({_first_line(error)}); take one of them: "
                f"{', '.join(loaded)}"
            ) from error
    if options.split not in loaded:
        raise DataError(f"{name} has no split {options.split!r}; it has: {', '.join(loaded)}")
    return loaded[options.split]


def _homes(dataset: str) -> list[Path]:
    """Return the folders whose files a cell may name: the saved one, or those of downloads.

    Who publishes a set chooses the paths in it, and none of them may fetch another picture of
    this machine.
    """
    import datasets
    from huggingface_hub import constants

    saved, own = at_home(dataset), datasets.config
    downloads = [own.HF_DATASETS_CACHE, own.DOWNLOADED_DATASETS_PATH, constants.HF_HUB_CACHE]
    folders = [saved] if saved.is_dir() else downloads
    # Archives are unpacked there, those of a local folder as well.
    return [Path(folder).resolve() for folder in (*folders, own.EXTRACTED_DATASETS_PATH)]


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:160] or type(error).__name__


def _image_column(table: Table, name: str) -> str:
    import datasets

    found = [c for c, kind in table.features.items() if isinstance(kind, datasets.Image)]
    if len(found) != 1:
        columns = ", ".join(table.features)
        raise DataError(f"{name}: expected one image column, got {found or 'none'} of {columns}")
    return str(found[0])


def _class_columns(table: Table) -> list[str]:
    import datasets

    return [c for c, kind in table.features.items() if isinstance(kind, datasets.ClassLabel)]


def _numbers(column: Iterable[int | None]) -> Int64[Tensor, "n"]:
    return torch.tensor([MISSING if value is None else value for value in column]).long()


def _enough(
    table: Table, column: str, options: SourceOptions, name: str, homes: Sequence[Path]
) -> tuple[Pictures, list[LeftOut]]:
    """Return `count` pictures by their rows, in order, and those that are none: others follow them.

    Raises:
        DataError: fewer are usable.
    """
    order = ordered(len(table), options, name)
    most = options.count or len(order)
    images: Pictures = {}
    left_out: list[LeftOut] = []
    start = 0
    while len(images) < most and start < len(order):
        taken = sorted(order[start : start + most - len(images)])
        start += len(taken)
        found, refused = _images(table, taken, column, options, homes)
        images |= found
        left_out += refused
    if options.count is not None and images and len(images) < options.count:
        raise DataError(
            f"expected {counted(options.count, 'picture')} in {name}: {len(images):,} usable; "
            f"skipped {len(left_out)}: {named(left_out)}"
        )
    return dict(sorted(images.items())), left_out


def _images(
    table: Table, rows: Sequence[int], column: str, options: SourceOptions, homes: Sequence[Path]
) -> tuple[Pictures, list[LeftOut]]:
    """Return the pictures of some rows, and those that are none."""
    import datasets

    cells = table.select(rows).cast_column(column, datasets.Image(decode=False))[column]
    images, left_out = {}, []
    for i, cell in zip(rows, cells, strict=True):
        try:
            images[i] = _picture(cell, options, homes)
        except OSError as error:
            left_out.append(LeftOut(f"image {i}", f"cannot be read: {error.strerror or error}"))
        except ImageError as error:
            left_out.append(LeftOut(f"image {i}", str(error)))
    return images, left_out


def _picture(
    cell: Mapping[str, Any] | None, options: SourceOptions, homes: Sequence[Path]
) -> UInt8[Tensor, "_ _ _"]:
    if cell is None or (cell["bytes"] is None and not cell["path"]):
        raise ImageError("expected a picture, got an empty cell")
    content = cell["bytes"]
    if content is None:
        content = content_of(_within(cell["path"], homes), ImageLimits())
    return decode_image(content, channels=options.channels, size=options.shape, box=options.box)


def _within(path: str, homes: Sequence[Path]) -> Path:
    """Return a file that a cell names, if it lies where the set's own files are."""
    try:
        found = Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a circle of links, a zero byte
        raise ImageError("there is no such file") from error
    if not any(map(found.is_relative_to, homes)):
        raise ImageError("its file lies outside the data set's folder")
    return found
