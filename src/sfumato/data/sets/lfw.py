"""`lfw`: Labeled Faces in the Wild, deep-funneled, as 160x160 squares in one ZIP."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from sfumato.data.assemble import no_split, pick
from sfumato.data.cache import cached_images, content_key, decode_all
from sfumato.data.decoding.decode import Box, decode_image
from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.options import SourceOptions
from sfumato.data.sets.archive import read_member
from sfumato.errors import DataError, ImageError

ARCHIVE = "lfw-deepfunneled-crop160.zip"
TIGHT: Box = (25, 25, 140, 140)
"""The face alone: pass it as `box`. The whole square has hair and neck too."""

GENDERS = ("female", "male")
_SIDE = 160
_FOLDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """LFW's View 2 protocol: `left` and `right` are file names as in `ImageSet.files`."""

    left: tuple[str, ...]
    right: tuple[str, ...]
    same: tuple[bool, ...]
    fold: tuple[int, ...]


def load_lfw(options: SourceOptions) -> ImageSet:
    """Return LFW with labels `identity` (5,749) and `gender`.

    `gender` is `MISSING` for the nine images that the published lists name twice or not at all.
    The decoded pictures are cached by their size, and memory-mapped.

    Raises:
        DataError: the archive or a list is missing or unreadable.
    """
    no_split("lfw", options)
    folder = _folder(options.data_dir)
    with _opened(folder / ARCHIVE) as archive:
        every = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        names = [every[i] for i in pick(len(every), options, "lfw")]
        images = _images(archive, folder / ARCHIVE, names, options)
    files = tuple(PurePosixPath(name).name for name in names)
    people = tuple(sorted({PurePosixPath(name).parent.name for name in every}))
    position = {person: i for i, person in enumerate(people)}
    identity = [position[PurePosixPath(name).parent.name] for name in names]
    return ImageSet(
        name="lfw",
        images=images,
        labels={"identity": torch.tensor(identity), "gender": _gender(folder, files)},
        classes={"identity": people, "gender": GENDERS},
        files=files,
    )


def lfw_splits(data_dir: Path | None) -> tuple[str, ...]:
    """Return the splits that can be loaded."""
    needed = (ARCHIVE, "male_names.txt", "female_names.txt")
    there = data_dir and all((data_dir / "lfw" / file).is_file() for file in needed)
    return ("all",) if there else ()


def lfw_pairs(data_dir: Path) -> Pairs:
    """Read pairs.txt: 10 folds of 300 pairs of one person, then 300 of two.

    Raises:
        DataError: the file is missing or does not keep that layout.
    """
    path = _folder(data_dir) / "pairs.txt"
    lines = [line.split() for line in _text(path).splitlines()]
    try:
        folds, each = (int(value) for value in lines[0])
        rows = [row for row in lines[1:] if row]
        pairs = [_pair(row) for row in rows]
    except (ValueError, IndexError) as error:
        raise DataError(f"{path}: expected '<name> <i> <j>' or '<a> <i> <b> <j>' lines") from error
    if folds != _FOLDS or len(pairs) != folds * 2 * each:
        raise DataError(f"{path}: expected {_FOLDS} folds of pairs, got {len(pairs)} pairs")
    return Pairs(
        left=tuple(pair[0] for pair in pairs),
        right=tuple(pair[1] for pair in pairs),
        same=tuple(len(row) == 3 for row in rows),
        fold=tuple(i // (2 * each) for i in range(len(pairs))),
    )


def _pair(row: Sequence[str]) -> tuple[str, str]:
    name, first, *rest = row
    other, second = (name, *rest) if len(rest) == 1 else rest
    return f"{name}_{int(first):04d}.jpg", f"{other}_{int(second):04d}.jpg"


def _folder(data_dir: Path | None) -> Path:
    if data_dir is None:
        raise DataError(
            f"lfw is read from local files: give the data folder, with lfw/{ARCHIVE}, "
            "lfw/male_names.txt and lfw/female_names.txt in it"
        )
    return data_dir / "lfw"


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path}: {error}; expected LFW as a ZIP") from error


def _images(
    archive: zipfile.ZipFile, path: Path, names: Sequence[str], options: SourceOptions
) -> UInt8[Tensor, "n c h w"]:
    size = options.shape_of((_SIDE, _SIDE))
    channels = options.channels or 3

    def decode(i: int) -> UInt8[Tensor, "c h w"]:
        try:
            content = read_member(archive, names[i])
            return decode_image(content, channels=channels, size=size, box=options.box)
        except ImageError as error:
            raise DataError(f"{path}: {names[i]}: {error}") from error

    chosen = (options.count, options.count and options.seed)
    key = content_key([path], size, channels, options.box, chosen)
    fill = decode_all(decode, len(names), "lfw: decoding")
    return cached_images("lfw", key, (len(names), channels, *size), fill, cache=options.cache)


def _gender(folder: Path, files: Sequence[str]) -> Int64[Tensor, "n"]:
    female, male = (set(_text(folder / f"{gender}_names.txt").split()) for gender in GENDERS)
    values = [
        MISSING if (file in female) == (file in male) else int(file in male) for file in files
    ]
    return torch.tensor(values)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}; it comes with LFW") from error
