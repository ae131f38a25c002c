"""`folder:PATH`: the user's own pictures, labelled by a metadata.csv or by their subfolders.

Nothing is cached: copies of private pictures in a second place would outlive their originals.
"""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from sfumato.data.assemble import no_split, stack
from sfumato.data.decode import ImageLimits, decode_image
from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.options import SourceOptions
from sfumato.errors import DataError, ImageError
from sfumato.progress import track

METADATA = "metadata.csv"
FILE_COLUMN = "file_name"
"""The column that names each picture, as in the hub's image folders; the others are labels."""

_AT_ONCE = 64  # pictures that are decoded before it is asked again whether there are enough
_NAMED = 3  # skipped files that the log names; `ImageSet.skipped` has all
_log = logging.getLogger(__name__)
_LIMITS = ImageLimits()

Rows = Mapping[str, Mapping[str, str]]
"""Label values by attribute, by the picture's path inside the folder."""


def load_folder(path: Path, options: SourceOptions, *, minimum: int = 1) -> ImageSet:
    """Return the pictures of a folder, at any depth, with their labels.

    With a metadata.csv, the files in its column `file_name` with every other column as a label
    (an empty cell is `MISSING`); without, all files, labelled `class` by the first subfolder. A
    file that is no usable picture is left out, logged, and named in `skipped`.

    Raises:
        DataError: the folder or the metadata cannot be read, a row points outside the folder,
            fewer than `minimum` (or `count`) pictures are usable, or they differ in size and
            `size` is not given.
    """
    name = f"folder:{path}"
    no_split(name, options)
    rows = folder_rows(path)
    order = sorted(rows)
    if options.count is not None:
        shuffled = torch.randperm(len(order), generator=torch.Generator().manual_seed(options.seed))
        order = [order[i] for i in shuffled.tolist()]
    images, skipped = _decode(path, order, options)
    if len(images) < max(minimum, options.count or 0):
        raise DataError(_too_few(path, max(minimum, options.count or 0), images, skipped))
    if skipped:
        looked_at = len(images) + len(skipped)
        _log.warning(
            "%s: skipped %d of %d files: %s", name, len(skipped), looked_at, _some(skipped)
        )
    files = sorted(images)
    chosen = [rows[file] for file in files]
    classes = values_of(chosen)
    return ImageSet(
        name=name,
        images=stack([images[file] for file in files], name),
        labels=labels_of(chosen, classes),
        classes=classes,
        files=tuple(files),
        skipped=tuple(skipped),
    )


def folder_rows(path: Path) -> Rows:
    """Return the label values of every file that the folder offers, by its path inside.

    Raises:
        DataError: the folder or its metadata cannot be read, or a row points outside.
    """
    if not path.is_dir():
        kind = "is a file" if path.exists() else "does not exist"
        raise DataError(f"expected a folder of pictures, but {path} {kind}")
    metadata = path / METADATA
    return _metadata(metadata) if metadata.is_file() else _walk(path)


def _walk(path: Path) -> Rows:
    found = {}
    for folder, subfolders, files in os.walk(path):
        subfolders[:] = [sub for sub in subfolders if not sub.startswith(".")]
        for file in files:
            inside = Path(folder, file).relative_to(path)
            if not file.startswith("."):
                found[inside.as_posix()] = {
                    "class": inside.parts[0] if len(inside.parts) > 1 else ""
                }
    return found


def _metadata(path: Path) -> Rows:
    found: dict[str, Mapping[str, str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            columns = reader.fieldnames or []
            if FILE_COLUMN not in columns or len(set(columns)) != len(columns):
                raise DataError(f"{path}: expected a column {FILE_COLUMN!r}, and no column twice")
            for row in reader:
                file = row.pop(FILE_COLUMN) or ""
                if None in row or None in row.values():
                    raise DataError(f"{path}:{reader.line_num}: expected {len(columns)} cells")
                _check_inside(path, reader.line_num, file)
                if file in found:
                    raise DataError(f"{path}:{reader.line_num}: {file!r} is listed twice")
                found[file] = row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}; expected CSV in UTF-8") from error
    return found


def _check_inside(metadata: Path, line: int, file: str) -> None:
    if not file or "\0" in file or not _is_inside(metadata.parent, file):
        raise DataError(f"{metadata}:{line}: {file!r} is not inside the folder; list its own files")


def _is_inside(folder: Path, file: str) -> bool:
    # resolve() follows links, so that one that leads out of the folder is caught as well.
    return (folder / file).resolve().is_relative_to(folder.resolve())


def decode_files(
    path: Path, files: Sequence[str], options: SourceOptions
) -> tuple[dict[str, UInt8[Tensor, "_ _ _"]], list[str]]:
    """Decode these files of a folder on all cores: pictures by file, and the skipped ones."""

    def read(file: str) -> UInt8[Tensor, "_ _ _"] | str:
        try:
            return _read(path, file, options)
        except (ImageError, OSError) as error:
            return f"{file}: {error}"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = dict(zip(files, pool.map(read, files), strict=True))
    images = {file: result for file, result in results.items() if not isinstance(result, str)}
    return images, [result for result in results.values() if isinstance(result, str)]


def _decode(
    path: Path, order: Sequence[str], options: SourceOptions
) -> tuple[dict[str, UInt8[Tensor, "_ _ _"]], list[str]]:
    images: dict[str, UInt8[Tensor, "_ _ _"]] = {}
    skipped: list[str] = []
    batches = [order[i : i + _AT_ONCE] for i in range(0, len(order), _AT_ONCE)]
    for some in track(batches, f"folder:{path.name}: decoding"):
        found, refused = decode_files(path, some, options)
        skipped += refused
        left = len(found) if options.count is None else options.count - len(images)
        images |= dict(list(found.items())[:left])
        if len(images) == options.count:
            break
    return images, skipped


def _read(path: Path, file: str, options: SourceOptions) -> UInt8[Tensor, "_ _ _"]:
    if not _is_inside(path, file):
        raise ImageError("a link that leads out of the folder")
    target = path / file
    if not target.is_file():
        raise ImageError("there is no such file" if not target.exists() else "not a plain file")
    with target.open("rb") as stream:
        content = stream.read(_LIMITS.max_bytes + 1)
    return decode_image(
        content, limits=_LIMITS, channels=options.channels, size=options.shape, box=options.box
    )


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


def _too_few(path: Path, expected: int, images: Mapping[str, Tensor], skipped: list[str]) -> str:
    files = "it is empty" if not images and not skipped else f"{len(images)} usable"
    reasons = f"; skipped {len(skipped)}: {_some(skipped)}" if skipped else ""
    return f"expected at least {expected} pictures in {path}: {files}{reasons}"


def _some(skipped: Sequence[str]) -> str:
    more = f"; and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
    return "; ".join(skipped[:_NAMED]) + more
