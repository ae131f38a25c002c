"""MNIST and Fashion-MNIST: IDX files as published, and files that are not."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from sfumato.data import load
from sfumato.data.sets.mnist import mnist_splits, read_idx
from sfumato.errors import DataError


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def write_split(folder: Path, stem: str, count: int, *, seed: int = 0) -> np.ndarray:
    images = np.random.default_rng(seed).integers(0, 256, (count, 28, 28), np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    (folder / f"{stem}-labels-idx1-ubyte").write_bytes(idx(np.arange(count) % 10))
    return images


def test_what_was_written_is_read_and_all_is_train_then_test(tmp_path: Path) -> None:
    train = write_split(tmp_path / "mnist", "train", 12)
    test = write_split(tmp_path / "mnist", "t10k", 5, seed=1)
    both = load("mnist", data_dir=tmp_path)
    assert np.array_equal(both.images[:, 0].numpy(), np.concatenate([train, test]))
    assert both.label("digit").tolist() == [*range(10), 0, 1, *range(5)]
    assert load("mnist", split="test", data_dir=tmp_path).split == "test"


def test_count_draws_by_seed_and_size_and_channels_reshape(tmp_path: Path) -> None:
    write_split(tmp_path / "mnist", "t10k", 40)
    whole = load("mnist", split="test", data_dir=tmp_path)
    some = load("mnist", split="test", data_dir=tmp_path, count=7, seed=3)
    again = load("mnist", split="test", data_dir=tmp_path, count=7, seed=3)
    other = load("mnist", split="test", data_dir=tmp_path, count=7, seed=4)
    assert torch.equal(some.images, again.images)
    assert not torch.equal(some.images, other.images)
    rows = {image.numpy().tobytes() for image in whole.images}
    assert len({image.numpy().tobytes() for image in some.images} & rows) == 7
    shaped = load("mnist", split="test", data_dir=tmp_path, size=(14, 20), channels=3, count=1)
    assert shaped.images.shape == (1, 3, 14, 20)
    cut = load("mnist", split="test", data_dir=tmp_path, box=(4, 0, 24, 10))
    assert torch.equal(cut.images, whole.images[:, :, 0:10, 4:24])


def test_a_missing_split_is_named_with_what_is_there(tmp_path: Path) -> None:
    write_split(tmp_path / "mnist", "t10k", 3)
    assert mnist_splits(tmp_path) == ("test",)
    with pytest.raises(DataError, match=r"no train split.*train-images.*there: test"):
        load("mnist", data_dir=tmp_path)
    with pytest.raises(DataError, match="has 3 images, but count is 50"):
        load("mnist", split="test", data_dir=tmp_path, count=50)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected an IDX file"),
        (b"\0\0\x0d\1" + b"\0" * 8, "expected an IDX file of bytes"),
        (b"\0\0\x08\3\0\0\0\1", "header is cut short"),
        (idx(np.zeros((2, 3, 4)))[:-1], r"expected 40 bytes for \(2, 3, 4\), got 39"),
        (b"\0\0\x08\3" + b"\xff" * 12, "expected .* bytes for"),
    ],
)
def test_what_is_not_idx_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(path)


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    noise = np.random.default_rng(0).integers(0, 256, (50, 9))
    path.write_bytes(gzip.compress(idx(noise))[:-30])
    with pytest.raises(DataError, match="copy the file again"):
        read_idx(path)


def test_the_published_files_have_their_published_counts(real_data: Path) -> None:
    digits = load("mnist", data_dir=real_data)
    assert digits.images.shape == (70_000, 1, 28, 28)
    train = digits.label("digit")[:60_000].bincount().tolist()
    assert (min(train), max(train)) == (5_421, 6_742)  # as the paper docl states
    articles = load("fashion-mnist", split="test", data_dir=real_data)
    assert articles.label("article").bincount().tolist() == [1_000] * 10
    with pytest.raises(DataError, match="fashion-mnist has no train split"):
        load("fashion-mnist", data_dir=real_data)
