"""The files of a folder: links and what cannot be read are named, and never followed outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sfumato.data.listing import list_files
from sfumato.errors import DataError


def _file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("cats/0.png", "cats/deep/1.png", "2.png", ".store/3.png", ".hidden.png"):
        _file(tmp_path / "album" / name)
    _file(tmp_path / "store" / "dogs" / "4.png")
    return tmp_path / "album"


OWN = ("2.png", "cats/0.png", "cats/deep/1.png")

LINKS = {
    "a folder outside": ("../store/dogs", "a link that leads out of the folder"),
    "a file outside": ("../store/dogs/4.png", "a link that leads out of the folder"),
    "the parent": ("..", "a link that leads out of the folder"),
    "a folder inside": ("cats", "a link to cats, read there"),
    "a file inside": ("cats/deep/1.png", "a link to cats/deep/1.png, read there"),
    "the folder itself": (".", "a link to the folder itself, read there"),
    "a hidden folder": (".store", "a link to a hidden folder"),
    "itself": ("link", "a link that leads nowhere"),
    "nothing": ("gone", "a link that leads nowhere"),
}


@pytest.mark.parametrize("kind", LINKS)
@pytest.mark.parametrize("absolute", [False, True])
def test_a_link_is_named_with_the_reason(album: Path, kind: str, absolute: bool) -> None:
    target, reason = LINKS[kind]
    (album / "link").symlink_to(album / target if absolute else target)
    found = list_files(album)
    assert found.files == OWN
    assert found.left_out == (("link", reason),)


def test_a_link_to_a_hidden_file_is_read_once(album: Path) -> None:
    (album / "a.png").symlink_to(".store/3.png")
    (album / "b.png").symlink_to(".store/3.png")
    found = list_files(album)
    assert found.files == ("2.png", "a.png", *OWN[1:])
    assert found.left_out == (("b.png", "the same file as a.png"),)


def test_a_folder_of_nothing_but_links_says_so(tmp_path: Path) -> None:
    _file(tmp_path / "store" / "1.png")
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "dogs").symlink_to(tmp_path / "store")
    found = list_files(tmp_path / "album")
    assert [left_out.file for left_out in found.left_out] == ["dogs"]


def test_the_folder_itself_may_be_a_link(album: Path) -> None:
    (album.parent / "link").symlink_to(album)
    assert list_files(album.parent / "link").files == OWN


def test_a_subfolder_that_cannot_be_read_is_named(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def refusing(path: Path) -> object:
        if Path(path).name == "deep":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)  # whoever runs this may be allowed to read all
    found = list_files(album)
    assert found.files == ("2.png", "cats/0.png")
    assert found.left_out == (("cats/deep", "a folder that cannot be read: Permission denied"),)


def test_no_folder_is_one_clear_line(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        list_files(album / "nowhere")
    with pytest.raises(DataError, match="is a file"):
        list_files(album / "2.png")

    def refusing(_: Path) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(DataError, match=r"cannot read the folder .*album: Permission denied"):
        list_files(album)
