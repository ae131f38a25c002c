"""`hf:NAME`: any image data set of the hub, or one saved to a local folder by `datasets`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from sfumato.data.assemble import pick, stack
from sfumato.data.decode import decode_image
from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.options import SourceOptions
from sfumato.errors import DataError, ImageError, UnavailableError
from sfumato.files import at_home

Table = Any  # a datasets.Dataset, whose import takes two seconds

Rename = Mapping[str, tuple[str, tuple[str, ...] | None]]
"""Column name to our label and its value names (None: as the column names them)."""


def load_hub(
    dataset: str, options: SourceOptions, *, name: str | None = None, labels: Rename | None = None
) -> ImageSet:
    """Return a data set that `datasets` can load, with every class column as a label.

    Pictures are taken as bytes and decoded here, under the limits of `decode_image`.

    Raises:
        UnavailableError: there is no network, or the hub has no such set.
        DataError: it has no image column or no such split, or the pictures differ in size and
            `size` is not given.
    """
    name = name or f"hf:{dataset}"
    table = _table(dataset, name, options)
    column = _image_column(table, name)
    rows = table.select(pick(len(table), options, name))
    kinds = labels if labels is not None else {c: (c, None) for c in _class_columns(rows)}
    for missing in set(kinds) - set(_class_columns(rows)):
        raise DataError(f"{name} has no class column {missing!r}; it has {_class_columns(rows)}")
    values = {
        ours: tuple(names or rows.features[theirs].names) for theirs, (ours, names) in kinds.items()
    }
    return ImageSet(
        name=name,
        images=_images(rows, column, name, options),
        labels={
            ours: torch.tensor([MISSING if v is None else v for v in rows[theirs]]).long()
            for theirs, (ours, _) in kinds.items()
        },
        classes=values,
        split=options.split,
    )


def _table(dataset: str, name: str, options: SourceOptions) -> Table:
    import datasets  # two seconds, and only here

    saved = at_home(dataset)
    try:
        if (saved / "dataset_dict.json").is_file() or (saved / "state.json").is_file():
            loaded = datasets.load_from_disk(str(saved))
        else:
            loaded = datasets.load_dataset(str(saved) if saved.is_dir() else dataset)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise UnavailableError(
            f"cannot get {name} ({dataset}) from the hub: {str(error).splitlines()[0][:160]}; "
            "connect to the network, or give a data folder with its published files"
        ) from error
    if isinstance(loaded, datasets.Dataset):
        if options.split != "all":
            raise DataError(f"{name} has no splits; load all of it")
        return loaded
    if options.split == "all":
        return datasets.concatenate_datasets(list(loaded.values()))
    if options.split not in loaded:
        raise DataError(f"{name} has no split {options.split!r}; it has: {', '.join(loaded)}")
    return loaded[options.split]


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


def _images(
    rows: Table,
    column: str,
    name: str,
    options: SourceOptions,
) -> UInt8[Tensor, "n c h w"]:
    import datasets

    cells = rows.cast_column(column, datasets.Image(decode=False))[column]
    images = []
    for i, cell in enumerate(cells):
        content = cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes()
        try:
            images.append(
                decode_image(
                    content, channels=options.channels, size=options.shape, box=options.box
                )
            )
        except ImageError as error:
            raise DataError(f"{name}: image {i}: {error}") from error
    return stack(images, name)
