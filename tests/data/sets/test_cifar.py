"""CIFAR in its binary and its JPEG layout; its pickles are never opened."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from sfumato.data import encode_png, load
from sfumato.data.sets.cifar import CLASSES, cifar10_splits
from sfumato.errors import DataError


def records(count: int, labels: int, *, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).integers(0, 256, (count, labels + 3072), np.uint8)
    rows[:, :labels] %= 10
    return rows


def write_binary(folder: Path) -> np.ndarray:
    folder.mkdir(parents=True)
    parts = [records(3, 1, seed=i) for i in range(6)]
    for i, part in enumerate(parts[:5], 1):
        (folder / f"data_batch_{i}.bin").write_bytes(part.tobytes())
    (folder / "test_batch.bin").write_bytes(parts[5].tobytes())
    return np.concatenate(parts)


def write_jpeg(folder: Path, split: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / f"cifar10-jpeg-{split}.tar.xz", "w:xz") as tar:
        for name in (f"cifar10/{split}/{kind}/0000.jpg" for kind in ("cat", "ship")):
            content = encode_png(torch.full((3, 32, 32), 60 if "cat" in name else 200).byte())
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def test_binary_batches_are_read_in_order(tmp_path: Path) -> None:
    expected = write_binary(tmp_path / "cifar10" / "cifar-10-batches-bin")
    both = load("cifar10", data_dir=tmp_path)
    assert np.array_equal(both.images.numpy().reshape(18, -1), expected[:, 1:])
    assert both.label("class").tolist() == expected[:, 0].tolist()
    assert len(load("cifar10", split="test", data_dir=tmp_path)) == 3
    assert both.name == "cifar10"


def test_cifar100_has_both_its_labels(tmp_path: Path) -> None:
    folder = tmp_path / "cifar100" / "cifar-100-binary"
    folder.mkdir(parents=True)
    rows = records(4, 2)
    (folder / "train.bin").write_bytes(rows.tobytes())
    for file, count in (("coarse_label_names.txt", 20), ("fine_label_names.txt", 100)):
        (folder / file).write_text("\n".join(f"name{i}" for i in range(count)) + "\n\n")
    images = load("cifar100", split="train", data_dir=tmp_path)
    assert images.label("superclass").tolist() == rows[:, 0].tolist()
    assert images.label("class").tolist() == rows[:, 1].tolist()
    assert len(images.classes["class"]) == 100


def test_the_lossy_layout_says_so_in_its_name_and_is_cached(tmp_path: Path) -> None:
    write_jpeg(tmp_path / "cifar10", "test")
    cache = tmp_path / "cache"
    first = load("cifar10", split="test", data_dir=tmp_path, cache=cache)
    assert first.name == "cifar10-jpeg"
    assert [CLASSES[i] for i in first.label("class")] == ["cat", "ship"]
    assert first.images[:, 0, 5, 5].tolist() == [60, 200]
    (stored,) = (cache / "data").iterdir()
    again = load("cifar10", split="test", data_dir=tmp_path, cache=cache)
    assert torch.equal(first.images, again.images)
    assert [stored] == list((cache / "data").iterdir())


def test_pickles_are_refused_unopened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "exploded",))

    folder = tmp_path / "cifar10" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    (folder / "data_batch_1").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match="unpickling runs whatever code they contain"):
        load("cifar10", data_dir=tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_broken_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cifar10 has no train split.*data_batch_1\.bin"):
        load("cifar10", data_dir=tmp_path)
    folder = tmp_path / "cifar10"
    folder.mkdir()
    (folder / "test_batch.bin").write_bytes(b"\1" * 4000)
    with pytest.raises(DataError, match="expected records of 3,073 bytes, got 4,000"):
        load("cifar10", split="test", data_dir=tmp_path)
    (folder / "test_batch.bin").write_bytes(b"\xff" * 3073)
    with pytest.raises(DataError, match="'class' has values outside"):
        load("cifar10", split="test", data_dir=tmp_path)
    (folder / "cifar10-jpeg-train.tar.xz").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"cannot read .*train\.tar\.xz"):
        load("cifar10", split="train", data_dir=tmp_path)
    (folder / "data_batch_1_first4000.bin.gz").write_bytes(gzip.compress(b"\1" * 3073)[:-9])
    with pytest.raises(DataError, match="copy the file again"):
        load("cifar10-4000", data_dir=tmp_path)


def test_the_files_at_hand_have_their_stated_counts(real_data: Path, tmp_path: Path) -> None:
    lossless = load("cifar10-4000", data_dir=real_data)
    assert lossless.images.shape == (4_000, 3, 32, 32)
    lossy = load("cifar10", split="test", data_dir=real_data, cache=tmp_path, count=300)
    assert lossy.images.shape == (300, 3, 32, 32)
    assert cifar10_splits(real_data) == ("all", "train", "test")


@pytest.mark.slow
def test_each_class_has_its_stated_count(real_data: Path, tmp_path: Path) -> None:
    for split, each in (("train", 5_000), ("test", 1_000)):
        lossy = load("cifar10", split=split, data_dir=real_data, cache=tmp_path)
        assert lossy.label("class").bincount().tolist() == [each] * 10
