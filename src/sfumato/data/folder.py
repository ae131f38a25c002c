"""`folder:PATH`: the user's own pictures, labelled by a table of metadata or by their subfolders.

Nothing is cached: copies of private pictures in a second place would outlive their originals.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from sfumato.counted import counted
from sfumato.data.assemble import no_split, stack
from sfumato.data.decoding.content import content_of
from sfumato.data.decoding.decode import ImageLimits, decode_image, open_picture
from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.leftout import LeftOut, as_text, named
from sfumato.data.listing import OUTSIDE, list_files
from sfumato.data.metadata import METADATA, Row, find_table, is_table, read_table
from sfumato.data.options import SourceOptions
from sfumato.data.order import random_order
from sfumato.errors import DataError, ImageError
from sfumato.progress import track

AT_ONCE = 64
"""Pictures that are decoded together, before anything is asked about them."""
_log = logging.getLogger(__name__)
_LIMITS = ImageLimits()

Rows = Mapping[str, Row]
"""Label values by attribute, by the picture's path inside the folder."""


def load_folder(path: Path, options: SourceOptions, *, minimum: int = 1) -> ImageSet:
    """Return the pictures of a folder, at any depth, with their labels.

    With a metadata.csv or metadata.jsonl, the files in its column `file_name` with every other
    column as a label (an empty cell is `MISSING`); without, all files, labelled `class` by the
    first subfolder. A file that is no usable picture is left out, logged, and named in `skipped`.

    Raises:
        DataError: the folder or the metadata cannot be read, a row points outside the folder,
            fewer than `minimum` (or `count`) pictures are usable, or they differ in size and
            `size` is not given.
    """
    name = f"folder:{path}"
    no_split(name, options)
    offer = offered(path)
    images: dict[str, UInt8[Tensor, "_ _ _"]] = {}
    left_out = list(offer.left_out)
    for some, refused in decode_enough(path, shuffled(offer.rows, options), options):
        images |= some
        left_out += refused
    expected = max(minimum, options.count or 0)
    if len(images) < expected:
        raise DataError(too_few(path, expected, len(images), left_out))
    if left_out:
        looked_at = len(images) + len(left_out)
        _log.warning(
            "%s: skipped %d of %d files: %s", name, len(left_out), looked_at, named(left_out)
        )
    files = sorted(images)
    chosen = [offer.rows[file] for file in files]
    classes = values_of(chosen)
    return ImageSet(
        name=name,
        images=stack([images[file] for file in files], name),
        labels=labels_of(chosen, classes),
        classes=classes,
        files=tuple(files),
        skipped=tuple(left_out),
    )


@dataclass(frozen=True, slots=True)
class Offer:
    """What a folder offers before any picture is decoded."""

    rows: Rows
    left_out: tuple[LeftOut, ...]
    """Links, subfolders and files that are not read at all."""


def offered(path: Path) -> Offer:
    """Return the label values of every file that the folder offers, by its path inside.

    A table of metadata lists the pictures of its folder and all below it. Where only subfolders
    have one (one a split), each lists its own, and what lies beside them is left out by name.

    Raises:
        DataError: the folder or its metadata cannot be read, or a row points outside.
    """
    found = list_files(path)
    for file, reason in found.left_out:
        if is_table(file):
            raise DataError(f"{path / file}: {reason}; copy the table into the folder")
    tables = _tables(path, found.files)
    if not tables:
        return Offer({file: {"class": _first_folder(file)} for file in found.files}, found.left_out)
    listed: dict[str, Mapping[str, str]] = {}
    for start, table in tables.items():
        own = [file.removeprefix(start) for file in found.files if file.startswith(start)]
        listed |= {start + file: row for file, row in read_table(table, own).items()}
    if "" in tables:
        return Offer(listed, ())
    beside = [file for file in found.files if not file.startswith(tuple(tables))]
    unlisted = [LeftOut(file, f"no {METADATA} lists it") for file in beside]
    names = dict.fromkeys(name for row in listed.values() for name in row)
    rows = {file: {name: row.get(name, "") for name in names} for file, row in listed.items()}
    return Offer(rows, (*found.left_out, *unlisted))


def _tables(path: Path, files: Sequence[str]) -> dict[str, Path]:
    """Return each uppermost folder with a table, as the start of its files' paths."""
    beside: dict[str, list[str]] = {}
    for file in filter(is_table, files):
        folder, _, name = file.rpartition("/")
        beside.setdefault(f"{folder}/" if folder else "", []).append(name)
    tables: dict[str, Path] = {}
    for start in sorted(beside):  # a folder comes before those in it
        if not any(start.startswith(upper) for upper in tables):
            tables[start] = find_table(path / start, beside[start])
    return tables


def _first_folder(file: str) -> str:
    # A folder's name may hold bytes that are no text, and a label is written into files.
    return as_text(file.partition("/")[0]) if "/" in file else ""


def _is_inside(folder: Path, file: str) -> bool:
    # resolve() follows links, so that one that leads out of the folder is caught as well.
    return (folder / file).resolve().is_relative_to(folder.resolve())


def decode_files(
    path: Path, files: Sequence[str], options: SourceOptions
) -> tuple[dict[str, UInt8[Tensor, "_ _ _"]], list[LeftOut]]:
    """Decode these files of a folder on all cores: pictures by file, and those left out."""

    def read(file: str) -> UInt8[Tensor, "_ _ _"] | LeftOut:
        try:
            return _read(path, file, options)
        except OSError as error:
            return LeftOut(file, f"cannot be read: {error.strerror or error}")
        except ImageError as error:
            return LeftOut(file, str(error))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = dict(zip(files, pool.map(read, files), strict=True))
    images = {file: result for file, result in results.items() if isinstance(result, Tensor)}
    return images, [result for result in results.values() if isinstance(result, LeftOut)]


def read_headers(
    path: Path, files: Sequence[str], limits: ImageLimits = _LIMITS
) -> tuple[dict[str, int], list[LeftOut]]:
    """Return the pixels of each still picture by its header, and the files that hold none.

    Nothing is decoded: a file that is damaged further on is found when it is read.
    """
    pixels: dict[str, int] = {}
    left_out: list[LeftOut] = []
    for file in track(files, "reading headers"):
        try:
            opened = open_picture(_content(path, file, limits), limits=limits)
        except OSError as error:
            left_out.append(LeftOut(file, f"cannot be read: {error.strerror or error}"))
        except ImageError as error:
            left_out.append(LeftOut(file, str(error)))
        else:
            if opened.source.several:
                left_out.append(LeftOut(file, "several frames or pages; send one of them"))
            else:
                pixels[file] = opened.pixels
    return pixels, left_out


def decode_enough(
    path: Path, order: Sequence[str], options: SourceOptions
) -> Iterator[tuple[dict[str, UInt8[Tensor, "_ _ _"]], list[LeftOut]]]:
    """Decode files in this order, some at a time, until there are `count` pictures or no more."""
    found = 0
    batches = [order[i : i + AT_ONCE] for i in range(0, len(order), AT_ONCE)]
    for some in track(batches, f"folder:{path.name}: decoding"):
        images, refused = decode_files(path, some, options)
        left = len(images) if options.count is None else options.count - found
        images = dict(list(images.items())[:left])
        found += len(images)
        yield images, refused
        if found == options.count:
            return


def shuffled(rows: Rows, options: SourceOptions) -> list[str]:
    """Return the files in order, or in one drawn by the seed where only `count` are wanted."""
    order = sorted(rows)
    if options.count is None:
        return order
    drawn = random_order(len(order), options.seed)
    return [order[i] for i in drawn.tolist()]


def _read(path: Path, file: str, options: SourceOptions) -> UInt8[Tensor, "_ _ _"]:
    return decode_image(
        _content(path, file, _LIMITS),
        limits=_LIMITS,
        channels=options.channels,
        size=options.shape,
        box=options.box,
    )


def _content(path: Path, file: str, limits: ImageLimits) -> bytes:
    if not _is_inside(path, file):
        raise ImageError(OUTSIDE)
    return content_of(path / file, limits)


def values_of(rows: Sequence[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return each label's values in these rows, sorted; a label without any is left out."""
    values = {name: tuple(sorted({row[name] for row in rows} - {""})) for name in rows[0]}
    return {name: some for name, some in values.items() if some}


def labels_of(
    rows: Sequence[Mapping[str, str]], classes: Mapping[str, tuple[str, ...]]
) -> dict[str, Int64[Tensor, "n"]]:
    """Return each label as positions in its `classes`; an empty cell is `MISSING`."""
    labels = {}
    for attribute, values in classes.items():
        position = {value: i for i, value in enumerate(values)}
        labels[attribute] = torch.tensor([position.get(row[attribute], MISSING) for row in rows])
    return labels


def too_few(path: Path, expected: int, usable: int, left_out: Sequence[LeftOut]) -> str:
    """Say that a folder has fewer pictures than expected, and why."""
    files = (
        "no file lies there, or is listed" if not usable and not left_out else f"{usable} usable"
    )
    reasons = f"; skipped {len(left_out)}: {named(left_out)}" if left_out else ""
    return f"expected at least {counted(expected, 'picture')} in {path}: {files}{reasons}"
