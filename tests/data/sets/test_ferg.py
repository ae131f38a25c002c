from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from sfumato.data.imageset import ImageSet
from sfumato.data.sets.ferg import EXPRESSIONS, IDENTITIES
from sfumato.data.sources import load
from sfumato.errors import DataError

_EACH = 2


@pytest.fixture(params=[".", "ferg"])
def tree(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A data folder with a small tree in the published layout; colour tells who, and what."""
    for i, identity in enumerate(IDENTITIES):
        for e, expression in enumerate(EXPRESSIONS):
            name = f"{identity}_{expression}"
            folder = tmp_path / request.param / "FERG_DB_256" / identity / name
            folder.mkdir(parents=True)
            for k in range(_EACH):
                picture = Image.new("RGBA", (256, 256), (40 * i, 30 * e, 0, 255))
                picture.save(folder / f"{name}_{k + 1}.png")
            (folder / "Thumbs.db").write_bytes(b"no picture")
    return tmp_path


def _load(tree: Path, **options: object) -> ImageSet:
    return load("ferg", data_dir=tree, cache=tree / "cache", **options)  # type: ignore[arg-type]


def test_identity_and_expression_are_read_from_the_folders(tree: Path) -> None:
    everyone = _load(tree, size=50)
    assert everyone.images.shape == (len(IDENTITIES) * len(EXPRESSIONS) * _EACH, 3, 50, 50)
    colour = everyone.images.float().mean((2, 3))
    assert torch.equal(colour[:, 0], 40.0 * everyone.label("identity"))
    assert torch.equal(colour[:, 1], 30.0 * everyone.label("expression"))
    some = _load(tree, count=10, size=50, channels=1)
    assert some.images.shape == (10, 1, 50, 50)
    assert all(file.split("/")[1] in file.split("/")[2] for file in some.files)


def test_a_part_of_the_set_is_not_taken_for_the_whole(tree: Path) -> None:
    folder = next(tree.rglob("ray_joy"))
    for path in folder.glob("*.png"):
        path.unlink()
    with pytest.raises(DataError, match="ray_joy"):
        _load(tree)


def test_damage_absence_and_splits_are_errors(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no published split"):
        _load(tree, split="train")
    next(tree.rglob("aia_fear_1.png")).write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match="aia_fear_1"):
        _load(tree)
    with pytest.raises(DataError, match="ask its authors"):
        load("ferg", data_dir=tmp_path / "elsewhere")
