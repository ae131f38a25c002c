"""`cifar10` and `cifar100`: the binary version, and CIFAR-10 as an archive of JPEG files.

The binary version is a run of records: one label byte (CIFAR-100: coarse, then fine), then 3,072
bytes, channel by channel.
"""

from __future__ import annotations

import lzma
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from sfumato.data.assemble import conform, pick
from sfumato.data.cache import cached_images, content_key, decode_all
from sfumato.data.decoding.decode import ImageLimits, decode_image
from sfumato.data.hub import load_hub
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions
from sfumato.data.sets.packed import unpacked
from sfumato.errors import DataError

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_FILES: dict[str, dict[str, tuple[str, ...]]] = {
    "cifar10": {
        "train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        "test": ("test_batch.bin",),
    },
    "cifar100": {"train": ("train.bin",), "test": ("test.bin",)},
}
_FOLDERS = {"cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}
_PICKLES = {
    "cifar10": ("cifar-10-batches-py", "cifar-10-python.tar.gz", "data_batch_1"),
    "cifar100": ("cifar-100-python", "cifar-100-python.tar.gz", "train"),
}
_FIRST = "data_batch_1_first4000.bin.gz"
_MAX_BYTES = 2**29  # of one unpacked file; CIFAR-100's train.bin has 154 MB


def load_cifar10(options: SourceOptions) -> ImageSet:
    """Return CIFAR-10 with label `class`.

    The binary version is preferred; where only the JPEG archives are there, the set's name is
    `cifar10-jpeg`, because they are lossy and figures on them are no CIFAR-10 figures.

    Raises:
        DataError: the asked split is not in `data_dir`/cifar10 in a layout that is read.
    """
    if options.data_dir is None:
        return load_hub(
            "uoft-cs/cifar10", options, name="cifar10", labels={"label": ("class", CLASSES)}
        )
    folder = options.data_dir / "cifar10"
    splits = _splits(options)
    complete = all(_binary("cifar10", folder, split) for split in splits)
    if not complete and all(_archive(folder, split).is_file() for split in splits):
        return _load_jpeg(folder, splits, options)
    records = _records("cifar10", folder, splits, label_bytes=1)
    return _from_records("cifar10", records, {"class": CLASSES}, options)


def load_cifar10_4000(options: SourceOptions) -> ImageSet:
    """Return the first 4,000 training images of CIFAR-10, lossless, with label `class`."""
    if options.data_dir is None or not (options.data_dir / "cifar10" / _FIRST).is_file():
        raise DataError(f"cifar10-4000 expects cifar10/{_FIRST} under the data folder")
    if options.split == "test":
        raise DataError("cifar10-4000 holds training images only; its split is train")
    records = _read(options.data_dir / "cifar10" / _FIRST, label_bytes=1)
    return _from_records("cifar10-4000", records, {"class": CLASSES}, options)


def load_cifar100(options: SourceOptions) -> ImageSet:
    """Return CIFAR-100 with labels `superclass` (20) and `class` (100); errors as CIFAR-10."""
    if options.data_dir is None:
        labels = {"coarse_label": ("superclass", None), "fine_label": ("class", None)}
        return load_hub("uoft-cs/cifar100", options, name="cifar100", labels=labels)
    folder = options.data_dir / "cifar100"
    records = _records("cifar100", folder, _splits(options), label_bytes=2)
    names = {
        "superclass": _names(folder, "coarse_label_names.txt", 20),
        "class": _names(folder, "fine_label_names.txt", 100),
    }
    return _from_records("cifar100", records, names, options)


def cifar10_splits(data_dir: Path | None) -> tuple[str, ...]:
    """Return the splits that can be loaded, in either layout."""
    return _available("cifar10", data_dir)


def cifar10_4000_splits(data_dir: Path | None) -> tuple[str, ...]:
    """Return the splits that can be loaded."""
    there = data_dir is not None and (data_dir / "cifar10" / _FIRST).is_file()
    return ("all", "train") if there else ()


def cifar100_splits(data_dir: Path | None) -> tuple[str, ...]:
    """Return the splits that can be loaded."""
    return _available("cifar100", data_dir)


def _available(name: str, data_dir: Path | None) -> tuple[str, ...]:
    if data_dir is None:
        return ()
    folder = data_dir / name
    there = [
        split
        for split in ("train", "test")
        if _binary(name, folder, split) or (name == "cifar10" and _archive(folder, split).is_file())
    ]
    return ("all", *there) if len(there) == 2 else tuple(there)


def _splits(options: SourceOptions) -> tuple[str, ...]:
    return ("train", "test") if options.split == "all" else (options.split,)


def _archive(folder: Path, split: str) -> Path:
    return folder / f"cifar10-jpeg-{split}.tar.xz"


def _binary(name: str, folder: Path, split: str) -> list[Path] | None:
    for place in (folder / _FOLDERS[name], folder):
        files = [place / file for file in _FILES[name][split]]
        if all(file.is_file() for file in files):
            return files
    return None


def _records(
    name: str, folder: Path, splits: Sequence[str], *, label_bytes: int
) -> UInt8[Tensor, "n record"]:
    parts = []
    for split in splits:
        files = _binary(name, folder, split)
        if files is None:
            raise DataError(_nothing(name, folder, split))
        parts += [_read(file, label_bytes=label_bytes) for file in files]
    return torch.cat(parts)


def _nothing(name: str, folder: Path, split: str) -> str:
    archive = f" or {_archive(folder, split).name}" if name == "cifar10" else ""
    expected = f"expected {', '.join(_FILES[name][split])} (the binary version){archive}"
    if any((folder / pickle).exists() for pickle in _PICKLES[name]):
        return (
            f"{folder} holds {name}'s Python version, which is not read: its files are pickles, "
            f"and unpickling runs whatever code they contain; {expected}"
        )
    return f"{name} has no {split} split in {folder}; {expected}"


def _read(path: Path, *, label_bytes: int) -> UInt8[Tensor, "n record"]:
    content = unpacked(path, _MAX_BYTES)
    record = label_bytes + _PIXELS
    if not content or len(content) % record:
        raise DataError(f"{path}: expected records of {record:,} bytes, got {len(content):,} bytes")
    return torch.from_numpy(np.frombuffer(content, np.uint8).reshape(-1, record).copy())


def _from_records(
    name: str,
    records: UInt8[Tensor, "n record"],
    classes: dict[str, tuple[str, ...]],
    options: SourceOptions,
) -> ImageSet:
    rows = records[pick(len(records), options, name)]
    labels = {attribute: rows[:, i].long() for i, attribute in enumerate(classes)}
    return ImageSet(
        name=name,
        images=conform(rows[:, len(classes) :].reshape(-1, *_SHAPE), options),
        labels=labels,
        classes=classes,
        split=options.split,
    )


def _names(folder: Path, file: str, count: int) -> tuple[str, ...]:
    for place in (folder / _FOLDERS["cifar100"], folder):
        if (place / file).is_file():
            names = tuple((place / file).read_text("utf-8").split())
            if len(names) == count:
                return names
            raise DataError(f"{place / file}: expected {count} names, got {len(names)}")
    raise DataError(f"cifar100 has no {file} in {folder}; it comes with the binary version")


def _load_jpeg(folder: Path, splits: Sequence[str], options: SourceOptions) -> ImageSet:
    archives = [_archive(folder, split) for split in splits]
    every = [picture for archive in archives for picture in _pictures(archive)]
    pictures = [every[i] for i in pick(len(every), options, "cifar10")]
    files = tuple(name for name, _ in pictures)
    fill = decode_all(
        lambda i: decode_image(pictures[i][1], channels=3, size=_SHAPE[1:]),
        len(files),
        "cifar10: decoding",
    )
    key = content_key(archives, options.count, options.count and options.seed)
    shape = (len(files), *_SHAPE)
    images = cached_images("cifar10-jpeg", key, shape, fill, cache=options.cache)
    return ImageSet(
        name="cifar10-jpeg",
        images=conform(images, options),
        labels={"class": torch.tensor([CLASSES.index(name.split("/")[-2]) for name in files])},
        classes={"class": CLASSES},
        files=files,
        split=options.split,
    )


def _pictures(archive: Path) -> list[tuple[str, bytes]]:
    """Return names and bytes of the archive's pictures, in memory: nothing is unpacked to disk."""
    limit = ImageLimits().max_bytes
    found = []
    try:
        with tarfile.open(archive, "r|xz") as tar:
            for member in tar:
                parts = member.name.split("/")
                if not member.isfile() or len(parts) < 3 or parts[-2] not in CLASSES:
                    continue
                stream = tar.extractfile(member)
                if stream is not None and member.size <= limit:
                    found.append((member.name, stream.read()))
    except (OSError, tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise DataError(f"cannot read {archive}: {error}; copy the file again") from error
    if not found:
        raise DataError(f"{archive}: expected pictures as <split>/<class>/<number>.jpg, found none")
    return found
