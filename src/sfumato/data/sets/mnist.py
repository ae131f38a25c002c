"""`mnist` and `fashion-mnist`: IDX files (gzip), or the hub where there are none."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor

from sfumato.data.assemble import conform, pick
from sfumato.data.hub import load_hub
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions
from sfumato.data.sets.packed import unpacked
from sfumato.errors import DataError

ARTICLES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle-boot",
)
_STEMS = {"train": "train", "test": "t10k"}
_MAX_BYTES = 2**28  # of one unpacked file; the largest published one has 47 MB
_UINT8 = 8  # the IDX type code


def load_mnist(options: SourceOptions) -> ImageSet:
    """Return MNIST with label `digit`.

    Raises:
        DataError: the asked split's files are not in `data_dir`/mnist, or are not IDX.
    """
    digits = tuple("0123456789")
    return _load("mnist", "ylecun/mnist", "digit", digits, options)


def load_fashion_mnist(options: SourceOptions) -> ImageSet:
    """Return Fashion-MNIST with label `article`; errors as `load_mnist`."""
    return _load("fashion-mnist", "zalando-datasets/fashion_mnist", "article", ARTICLES, options)


def mnist_splits(data_dir: Path | None, name: str = "mnist") -> tuple[str, ...]:
    """Return the splits whose two files are there."""
    if data_dir is None:
        return ()
    there = [s for s in _STEMS if all(_find(data_dir / name, f) for f in _files(s))]
    return ("all", *there) if len(there) == len(_STEMS) else tuple(there)


def fashion_mnist_splits(data_dir: Path | None) -> tuple[str, ...]:
    """Return the splits whose two files are there."""
    return mnist_splits(data_dir, "fashion-mnist")


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of bytes, gzipped or not, into an array of the shape in its header.

    Raises:
        DataError: the file is unreadable, of another type, cut short or too long.
    """
    content = unpacked(path, _MAX_BYTES)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UINT8:
        raise DataError(f"{path}: expected an IDX file of bytes (first bytes 0, 0, 8)")
    head = 4 + 4 * content[3]
    if len(content) < head:
        raise DataError(f"{path}: the IDX header is cut short; copy the file again")
    shape = struct.unpack(f">{content[3]}I", content[4:head])
    expected = head + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise DataError(f"{path}: expected {expected:,} bytes for {shape}, got {len(content):,}")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape).copy()


def _load(
    name: str, hub: str, attribute: str, values: tuple[str, ...], options: SourceOptions
) -> ImageSet:
    if options.data_dir is None:
        return load_hub(hub, options, name=name, labels={"label": (attribute, values)})
    splits = tuple(_STEMS) if options.split == "all" else (options.split,)
    parts = [_read_split(name, options.data_dir / name, split) for split in splits]
    images, labels = (torch.cat(both) for both in zip(*parts, strict=True))
    if len(labels) and int(labels.max()) >= len(values):
        raise DataError(f"{name}: expected labels 0 to {len(values) - 1}, got {int(labels.max())}")
    index = pick(len(images), options, name)
    return ImageSet(
        name=name,
        images=conform(images[index], options),
        labels={attribute: labels[index].long()},
        classes={attribute: values},
        split=options.split,
    )


def _read_split(
    name: str, folder: Path, split: str
) -> tuple[UInt8[Tensor, "n 1 h w"], UInt8[Tensor, "n"]]:
    found = [_find(folder, file) for file in _files(split)]
    if found[0] is None or found[1] is None:
        raise DataError(
            f"{name} has no {split} split in {folder}; expected "
            f"{' and '.join(f'{file}[.gz]' for file in _files(split))}; "
            f"there: {', '.join(mnist_splits(folder.parent, name)) or 'no split'}"
        )
    images, labels = read_idx(found[0]), read_idx(found[1])
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise DataError(
            f"{found[0]}: expected n images and n labels, got {images.shape} and {labels.shape}"
        )
    return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels)


def _files(split: str) -> tuple[str, str]:
    return f"{_STEMS[split]}-images-idx3-ubyte", f"{_STEMS[split]}-labels-idx1-ubyte"


def _find(folder: Path, file: str) -> Path | None:
    return next((p for p in (folder / f"{file}.gz", folder / file) if p.is_file()), None)
