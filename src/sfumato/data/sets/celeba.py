"""`celeba`: CelebA's aligned faces with 40 attributes, identities and published splits.

Its own files, unpacked: `img_align_celeba/*.jpg`, `list_attr_celeba.txt`, `identity_CelebA.txt`
and `list_eval_partition.txt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from sfumato.counted import counted
from sfumato.data.assemble import pick
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions
from sfumato.data.sets.pictures import load_pictures
from sfumato.errors import DataError

_PICTURES = "img_align_celeba"
_ATTRIBUTES = "list_attr_celeba.txt"
_IDENTITIES = "identity_CelebA.txt"
_PARTITION = "list_eval_partition.txt"
_SIZE = (218, 178)
_YES = ("no", "yes")
_SPLITS = {"train": ("0",), "test": ("2",), "all": ("0", "1", "2")}
"""Validation pictures (1) are in `all` alone."""


def load_celeba(options: SourceOptions) -> ImageSet:
    """Return CelebA with labels `identity` and its attributes (`Male`, `Eyeglasses`, ...), no/yes.

    218x178 RGB unless the options say otherwise; a square size cuts the centred square. The
    decoded pictures are cached by their size, and memory-mapped.

    Raises:
        DataError: a file is missing or does not keep the published layout.
    """
    root = _root(options.data_dir)
    partition = _pairs(root / _PARTITION)
    every = sorted(file for file, part in partition.items() if part in _SPLITS[options.split])
    if not every:
        raise DataError(f"{root / _PARTITION} has no picture of the split {options.split!r}")
    files = [every[i] for i in pick(len(every), options, "celeba")]
    attributes, values = _attributes(root / _ATTRIBUTES)
    people = _pairs(root / _IDENTITIES)
    missing = [file for file in files if file not in values or file not in people]
    if missing:
        raise DataError(f"{root}: {missing[0]} has no attributes or no identity in the lists")
    names = tuple(sorted(set(people.values()), key=lambda name: (len(name), name)))
    number = {name: i for i, name in enumerate(names)}
    paths = _present([root / _PICTURES / file for file in files])
    table = torch.tensor([values[file] for file in files])
    labels = {name: table[:, k].contiguous() for k, name in enumerate(attributes)}
    return ImageSet(
        name="celeba",
        images=load_pictures("celeba", paths, options, size=_SIZE),
        labels={"identity": torch.tensor([number[people[file]] for file in files])} | labels,
        classes={"identity": names} | dict.fromkeys(attributes, _YES),
        files=tuple(files),
        split=options.split,
    )


def celeba_splits(data_dir: Path | None) -> tuple[str, ...]:
    """Return the splits that can be loaded."""
    needed = (_PICTURES, _ATTRIBUTES, _IDENTITIES, _PARTITION)
    there = data_dir and all((data_dir / "celeba" / name).exists() for name in needed)
    return ("all", "train", "test") if there else ()


def _root(data_dir: Path | None) -> Path:
    root = data_dir and data_dir / "celeba"
    if root is None or not root.is_dir():
        raise DataError(
            f"celeba is read from local files: put {_PICTURES}/, {_ATTRIBUTES}, {_IDENTITIES} and "
            f"{_PARTITION} in celeba/ of the data folder"
        )
    return root


def _present(paths: list[Path]) -> list[Path]:
    absent = [path for path in paths if not path.is_file()]
    if absent:
        raise DataError(
            f"expected {absent[0]}; {counted(len(absent), 'picture')} of the list missing: unpack "
            "the pictures again"
        )
    return paths


def _attributes(path: Path) -> tuple[tuple[str, ...], Mapping[str, list[int]]]:
    """Read a count, the names, and a line of 1 and -1 for each picture."""
    lines = _lines(path)
    if len(lines) < 2 or not lines[0].strip().isdecimal():
        raise DataError(f"{path}: expected a count, then the names of the attributes")
    names = tuple(lines[1].split())
    values: dict[str, list[int]] = {}
    for number, line in enumerate(lines[2:], 3):
        file, *marks = line.split()
        if len(marks) != len(names) or not set(marks) <= {"1", "-1"}:
            raise DataError(f"{path}, line {number}: expected {len(names)} values of 1 or -1")
        values[_inside(file, path)] = [int(mark == "1") for mark in marks]
    if len(values) != int(lines[0]):
        raise DataError(f"{path}: its first line says {lines[0].strip()}, it has {len(values)}")
    return names, values


def _pairs(path: Path) -> Mapping[str, str]:
    """Read lines of a picture and one value."""
    found = {}
    for number, line in enumerate(_lines(path), 1):
        parts = line.split()
        if len(parts) != 2:
            raise DataError(f"{path}, line {number}: expected '<picture> <value>', got {line!r}")
        found[_inside(parts[0], path)] = parts[1]
    return found


def _inside(file: str, path: Path) -> str:
    if Path(file).name != file:
        raise DataError(f"{path}: {file!r} is no name of a picture in {_PICTURES}")
    return file


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}; it comes with CelebA") from error
