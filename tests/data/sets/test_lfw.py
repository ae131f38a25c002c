"""LFW from its ZIP: identities, genders, pairs, and the tight box."""

from __future__ import annotations

import errno
import zipfile
from pathlib import Path

import pytest
import torch

from sfumato.data import MISSING, encode_png, load
from sfumato.data.sets.lfw import ARCHIVE, TIGHT, lfw_pairs, lfw_splits
from sfumato.errors import DataError, InputError

PEOPLE = ["Ann_Lee_0001.jpg", "Ann_Lee_0002.jpg", "Bo_Ek_0001.jpg", "Cy_Fox_0001.jpg"]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    folder = tmp_path / "lfw"
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    with zipfile.ZipFile(folder / ARCHIVE, "w") as archive:
        for file in reversed(PEOPLE):
            image = torch.randint(0, 256, (3, 160, 160), generator=generator).byte()
            archive.writestr(f"lfw-deepfunneled/{file[:-9]}/{file}", encode_png(image))
    (folder / "female_names.txt").write_text("Ann_Lee_0001.jpg\nAnn_Lee_0002.jpg\nCy_Fox_0001.jpg")
    (folder / "male_names.txt").write_text("Bo_Ek_0001.jpg\nCy_Fox_0001.jpg\n")
    return tmp_path


def test_labels_come_from_names_and_lists(tiny: Path) -> None:
    faces = load("lfw", data_dir=tiny, cache=tiny / "cache")
    assert list(faces.files) == PEOPLE
    assert faces.label("identity").tolist() == [0, 0, 1, 2]
    assert faces.label("gender").tolist() == [0, 0, 1, MISSING]  # in both lists: left out


def test_the_box_is_cut_from_the_same_pixels_and_is_cached_apart(tiny: Path) -> None:
    whole = load("lfw", data_dir=tiny, cache=tiny / "cache")
    tight = load("lfw", data_dir=tiny, cache=tiny / "cache", box=TIGHT)
    assert torch.equal(tight.images, whole.images[:, :, 25:140, 25:140])
    small = load("lfw", data_dir=tiny, cache=tiny / "cache", box=TIGHT, size=32, channels=1)
    assert small.images.shape == (4, 1, 32, 32)
    assert len(list((tiny / "cache" / "data").iterdir())) == 3


def test_changing_a_cached_set_changes_no_file_and_a_cut_file_is_written_anew(tiny: Path) -> None:
    first = load("lfw", data_dir=tiny, cache=tiny / "cache")
    expected = first.images.clone()
    first.images.zero_()
    (stored,) = (tiny / "cache" / "data").iterdir()
    assert torch.equal(load("lfw", data_dir=tiny, cache=tiny / "cache").images, expected)
    stored.write_bytes(stored.read_bytes()[:-100])
    assert torch.equal(load("lfw", data_dir=tiny, cache=tiny / "cache").images, expected)


def test_an_unreadable_picture_is_named_and_nothing_is_left(tiny: Path) -> None:
    with zipfile.ZipFile(tiny / "lfw" / ARCHIVE, "a") as archive:
        archive.writestr("lfw-deepfunneled/Zed/Zed_0001.jpg", b"no picture")
    with pytest.raises(DataError, match=r"Zed_0001\.jpg: expected a picture"):
        load("lfw", data_dir=tiny, cache=tiny / "cache")
    assert not list((tiny / "cache" / "data").iterdir())


def test_missing_files_and_splits_are_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give the data folder"):
        load("lfw")
    with pytest.raises(DataError, match=r"cannot read .*expected LFW as a ZIP"):
        load("lfw", data_dir=tmp_path)
    with pytest.raises(DataError, match="no published split 'train'"):
        load("lfw", split="train", data_dir=tmp_path)
    assert lfw_splits(tmp_path) == ()


def test_a_zip_bomb_is_refused_unpacked(tiny: Path) -> None:
    with zipfile.ZipFile(tiny / "lfw" / ARCHIVE, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("lfw-deepfunneled/Zed/Zed_0001.jpg", b"\0" * (2**25 + 1))
    with pytest.raises(DataError, match="at most 33,554,432 bytes, got 33,554,433"):
        load("lfw", data_dir=tiny, cache=tiny / "cache")


def test_a_full_disk_is_one_error_and_leaves_nothing(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    with pytest.raises(InputError, match=r"No space left .*SFUMATO_CACHE"):
        load("lfw", data_dir=tiny, cache=tiny / "cache")
    assert not list((tiny / "cache" / "data").iterdir())


@pytest.mark.parametrize("text", ["", "10 300\nA 1 2\n", "x y\n", "10 0\nA 1\n"])
def test_a_malformed_pairs_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "lfw").mkdir()
    (tmp_path / "lfw" / "pairs.txt").write_text(text)
    with pytest.raises(DataError, match=r"pairs\.txt: expected"):
        lfw_pairs(tmp_path)


def test_the_published_set_has_its_published_counts(real_data: Path, tmp_path: Path) -> None:
    faces = load("lfw", data_dir=real_data, size=8, channels=1, count=200, cache=tmp_path)
    assert len(faces.classes["identity"]) == 5_749
    with zipfile.ZipFile(real_data / "lfw" / ARCHIVE) as archive:
        names = {Path(name).name for name in archive.namelist() if name.endswith(".jpg")}
    pairs = lfw_pairs(real_data)
    assert len(names) == 13_233
    assert set(pairs.left) | set(pairs.right) <= names
    assert [sum(pairs.same), len(pairs.same)] == [3_000, 6_000]
    assert set(pairs.fold) == set(range(10))


@pytest.mark.slow
def test_nine_published_images_have_no_gender(real_data: Path, tmp_path: Path) -> None:
    faces = load("lfw", data_dir=real_data, size=8, channels=1, cache=tmp_path)
    assert int((faces.label("gender") == MISSING).sum()) == 9
    assert int((faces.label("identity").bincount() >= 2).sum()) == 1_680
