"""The table of sources: what it promises holds for every entry."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.data import SOURCES, load
from sfumato.data.decoding.decode import encode_png
from sfumato.data.lazy import FolderImages, open_lazily
from sfumato.data.options import SourceOptions
from sfumato.errors import ConfigError, DataError


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(DataError, match=r"no data set is called 'minst'.*mnist"):
        load("minst")


def test_the_path_of_a_folder_alone_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "digits"):
        (tmp_path / name).mkdir()
        for i in range(2):
            picture = torch.full((1, 4, 4), 100 * i, dtype=torch.uint8)
            (tmp_path / name / f"{i}.png").write_bytes(encode_png(picture))
    named = load("folder:mine").fingerprint()
    for spelled in ("mine", "mine/", "./mine", str(tmp_path / "mine")):
        assert load(spelled).fingerprint() == named
        lazily = open_lazily(spelled, SourceOptions())
        assert isinstance(lazily, FolderImages)
        assert lazily.path == tmp_path / "mine"
    assert len(load("digits")) == SOURCES["digits"].count  # a set's name goes before a folder's
    assert len(load("./digits")) == 2
    with pytest.raises(DataError, match="no data set is called 'other', and no folder"):
        load("other")


def test_digits_are_all_there_and_use_the_full_range() -> None:
    digits = load("digits")
    assert digits.images.shape == (SOURCES["digits"].count, 1, 8, 8)
    assert (int(digits.images.min()), int(digits.images.max())) == (0, 255)
    assert digits.label("digit").bincount().min() >= 174
    assert load("digits", size=16, channels=3, count=5).images.shape == (5, 3, 16, 16)
    with pytest.raises(DataError, match="no published split 'test'"):
        load("digits", split="test")


def test_a_set_is_the_same_wherever_it_is_loaded() -> None:
    assert load("digits", count=50).fingerprint() == load("digits", count=50).fingerprint()
    assert not torch.equal(load("digits", count=50).images, load("digits", count=50, seed=1).images)


@pytest.mark.parametrize(
    "options", [{"count": 0}, {"size": 0}, {"size": (3, -1)}, {"box": (5, 0, 5, 3)}]
)
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"count|size|box"):
        load("digits", **options)
