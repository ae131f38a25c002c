from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.sources import load
from sfumato.errors import DataError

_FILES = {
    "bounding_box_train": [
        "0002_c1s1_000451_03.jpg",
        "0002_c2s1_000451_01.jpg",
        "0007_c3s3_077419_03.jpg",
        "Thumbs.db",
    ],
    "bounding_box_test": [
        "-1_c1s1_000401_03.jpg",
        "0000_c1s1_000151_01.jpg",
        "0010_c6s4_002427_02.jpg",
    ],
    "query": ["0010_c1s6_027271_00.jpg"],
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A data folder with a small tree in the published layout; the colour is the person's."""
    for folder, names in _FILES.items():
        (tmp_path / "market1501" / folder).mkdir(parents=True)
        for name in names:
            path = tmp_path / "market1501" / folder / name
            if name.endswith("jpg"):
                colour = 20 * int(name[:4]) if name[0] != "-" else 0
                Image.new("RGB", (64, 128), (colour, 100, 50)).save(path, "JPEG", quality=95)
            else:
                path.write_bytes(b"not a picture")
    return tmp_path


def _write_attributes(path: Path, **train: list[int]) -> None:
    path.parent.mkdir(exist_ok=True)
    people = {"image_index": np.array(["0002", "0007"], dtype=object)}
    test = {name: [2] for name in train} | {"image_index": np.array(["0010"], dtype=object)}
    savemat(path, {"market_attribute": {"train": train | people, "test": test}})


def _load(tree: Path, **options: object) -> ImageSet:
    return load("market1501", data_dir=tree, cache=tree / "cache", **options)  # type: ignore[arg-type]


def test_people_cameras_and_attributes_are_read(tree: Path) -> None:
    _write_attributes(tree / "reid-attributes" / "market_attribute.mat", gender=[1, 2], age=[4, 1])
    everyone = _load(tree)
    assert len(everyone) == 5
    assert everyone.classes["identity"] == ("0002", "0007", "0010")
    assert everyone.label("camera").tolist() == [0, 1, 2, 0, 5]
    assert everyone.label("gender").tolist() == [0, 0, 1, 1, 1]
    assert len(everyone.where("age", "old")) == 2
    assert everyone.images.shape == (5, 3, 128, 64)
    red = everyone.images[:, 0].float().mean((1, 2))
    assert torch.allclose(red, torch.tensor([40.0, 40, 140, 200, 200]), atol=3)


def test_splits_have_other_people(tree: Path) -> None:
    train, test = _load(tree, split="train"), _load(tree, split="test")
    assert not set(train.classes["identity"]) & set(test.classes["identity"])
    assert test.files == (
        "query/0010_c1s6_027271_00.jpg",
        "bounding_box_test/0010_c6s4_002427_02.jpg",
    )
    assert "gender" not in train.labels
    assert _load(tree, size=(32, 16), channels=1).images.shape == (5, 1, 32, 16)


def test_people_without_attributes_are_missing(tree: Path) -> None:
    _write_attributes(tree / "market1501" / "market_attribute.mat", hat=[1, 2])
    (tree / "market1501/query/0042_c1s1_000000_00.jpg").write_bytes(
        (tree / "market1501/query/0010_c1s6_027271_00.jpg").read_bytes()
    )
    assert _load(tree, split="test").label("hat").tolist() == [1, MISSING, 1]


def test_the_published_attribute_file_is_read(tree: Path, real_data: Path) -> None:
    source = real_data / "reid-attributes" / "market_attribute.mat"
    if not source.is_file():
        pytest.skip(f"no {source.name}")
    (tree / "market1501" / source.name).write_bytes(source.read_bytes())
    everyone = _load(tree)
    assert len(everyone.labels) == 2 + 27
    assert bool((everyone.label("gender") != MISSING).all())


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0", b"\0" * 500])
def test_an_attribute_file_that_is_none_is_an_error(tree: Path, content: bytes) -> None:
    (tree / "market1501" / "market_attribute.mat").write_bytes(content)
    with pytest.raises(DataError, match="attribute file"):
        _load(tree)


def test_wrong_values_damage_and_absence_are_errors(tree: Path, tmp_path: Path) -> None:
    _write_attributes(tree / "market1501" / "market_attribute.mat", gender=[1, 3])
    with pytest.raises(DataError, match="gender"):
        _load(tree)
    (tree / "market1501" / "market_attribute.mat").unlink()
    (tree / "market1501/query/0010_c1s6_027271_00.jpg").write_bytes(b"\xff\xd8\xffhello")
    with pytest.raises(DataError, match="0010_c1s6"):
        _load(tree)
    with pytest.raises(DataError, match="ask its authors"):
        load("market1501", data_dir=tmp_path / "elsewhere")
