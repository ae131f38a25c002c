from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.data.decoding.decode import encode_png
from sfumato.data.sources import load
from sfumato.errors import DataError

_NAMES = ("Eyeglasses", "Male")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Six pictures of three people in the published layout; the fourth is validation."""
    root = tmp_path / "celeba"
    (root / "img_align_celeba").mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    for i in range(1, 7):
        picture = torch.randint(0, 256, (3, 218, 178), generator=generator, dtype=torch.uint8)
        (root / "img_align_celeba" / f"00000{i}.jpg").write_bytes(encode_png(picture))
    marks = [(-1, 1), (1, 1), (-1, -1), (1, -1), (-1, 1), (1, -1)]
    rows = [f"00000{i}.jpg {a:2d} {b:2d}" for i, (a, b) in enumerate(marks, 1)]
    (root / "list_attr_celeba.txt").write_text("\n".join(["6", " ".join(_NAMES), *rows]) + "\n")
    people = [2880, 2880, 35, 35, 10173, 10173]
    (root / "identity_CelebA.txt").write_text(
        "".join(f"00000{i}.jpg {p}\n" for i, p in enumerate(people, 1))
    )
    parts = [0, 0, 0, 1, 2, 2]
    (root / "list_eval_partition.txt").write_text(
        "".join(f"00000{i}.jpg {p}\n" for i, p in enumerate(parts, 1))
    )
    return tmp_path


def test_labels_and_splits_are_the_published_ones(tree: Path) -> None:
    images = load("celeba", data_dir=tree, cache=tree / "cache")
    assert images.images.shape == (6, 3, 218, 178)
    assert images.classes["Male"] == ("no", "yes")
    assert images.label("Male").tolist() == [1, 1, 0, 0, 1, 0]
    assert images.label("Eyeglasses").tolist() == [0, 1, 0, 1, 0, 1]
    assert [images.classes["identity"][i] for i in images.label("identity").tolist()] == [
        *("2880", "2880", "35", "35", "10173", "10173")
    ]
    sizes = {
        s: len(load("celeba", split=s, data_dir=tree, cache=tree / "cache"))
        for s in ("train", "test")
    }
    assert sizes == {"train": 3, "test": 2}


def test_size_channels_and_count_are_honoured(tree: Path) -> None:
    images = load("celeba", data_dir=tree, size=64, channels=1, count=4, cache=tree / "cache")
    assert images.images.shape == (4, 1, 64, 64)
    assert len(set(images.files)) == 4


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("list_attr_celeba.txt", "Male\n000001.jpg 1\n", "count"),
        ("list_attr_celeba.txt", "1\nMale\n000001.jpg 2\n", "1 or -1"),
        ("list_attr_celeba.txt", "9\nMale\n000001.jpg 1\n", "says 9"),
        ("list_attr_celeba.txt", "1\nMale\n../x.jpg 1\n", "no name of a picture"),
        ("identity_CelebA.txt", "000001.jpg\n", "line 1"),
        ("identity_CelebA.txt", "000001.jpg 3\n", "no identity"),
        ("list_eval_partition.txt", "000001.jpg 7\n", "no picture"),
        ("list_eval_partition.txt", "000009.jpg 0\n", "000009"),
    ],
)
def test_a_broken_list_is_named(tree: Path, file: str, text: str, message: str) -> None:
    (tree / "celeba" / file).write_text(text)
    with pytest.raises(DataError, match=message):
        load("celeba", data_dir=tree, cache=tree / "cache")


def test_missing_pictures_are_counted(tree: Path) -> None:
    (tree / "celeba" / "img_align_celeba" / "000002.jpg").unlink()
    with pytest.raises(DataError, match="1 picture of the list missing"):
        load("celeba", data_dir=tree, cache=tree / "cache")


def test_without_the_folder_it_says_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="img_align_celeba"):
        load("celeba", data_dir=tmp_path)
