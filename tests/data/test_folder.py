"""A folder of the user's own pictures: labels, unreadable files, and paths that lead elsewhere."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from PIL import Image

from sfumato.data import MISSING, encode_png, load
from sfumato.data.folder import load_folder, read_headers
from sfumato.data.lazy import open_lazily
from sfumato.data.options import SourceOptions
from sfumato.errors import DataError


def picture(path: Path, grey: int, *, size: int = 8, channels: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(torch.full((channels, size, size), grey, dtype=torch.uint8)))


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for i in range(4):
        picture(tmp_path / "album" / f"{i}.png", 40 * i)
    return tmp_path / "album"


def test_subfolders_are_labels_and_order_is_by_name(tmp_path: Path) -> None:
    picture(tmp_path / "dog" / "b.png", 1)
    picture(tmp_path / "cat" / "deep" / "a.png", 2)
    picture(tmp_path / "loose.png", 3)
    images = load(f"folder:{tmp_path}")
    assert images.files == ("cat/deep/a.png", "dog/b.png", "loose.png")
    assert images.classes == {"class": ("cat", "dog")}
    assert images.label("class").tolist() == [0, 1, MISSING]
    assert images.images[:, 0, 0, 0].tolist() == [2, 1, 3]


def test_metadata_gives_any_labels_and_lists_the_pictures(album: Path) -> None:
    (album / "metadata.csv").write_text(
        "\ufefffile_name,person,mood\n2.png,bo,\n0.png,ann,glad\n3.png,ann,sad\n", encoding="utf-8"
    )
    images = load(f"folder:{album}")
    assert images.files == ("0.png", "2.png", "3.png")
    assert [images.classes["person"][i] for i in images.label("person")] == ["ann", "bo", "ann"]
    assert images.label("mood").tolist() == [0, MISSING, 1]


def test_unreadable_files_are_left_out_named_and_logged(
    album: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (album / "notes.txt").write_text("my holiday")
    (album / "half.png").write_bytes((album / "1.png").read_bytes()[:40])
    with caplog.at_level(logging.WARNING):
        images = load(f"folder:{album}")
    assert len(images) == 4
    assert [left_out.file for left_out in images.skipped] == ["half.png", "notes.txt"]
    assert "skipped 2 of 6 files: half.png" in caplog.text


def test_count_is_of_usable_pictures(album: Path) -> None:
    for i in range(20):
        (album / f"bad{i}.png").write_bytes(b"no picture")
    images = load(f"folder:{album}", count=4, seed=1)
    assert len(images) == 4
    with pytest.raises(DataError, match=r"at least 5 pictures .* 4 usable; skipped 20"):
        load(f"folder:{album}", count=5)
    with pytest.raises(DataError, match="at least 6 pictures"):
        load_folder(album, SourceOptions(), minimum=6)


def test_different_sizes_need_a_size_and_grey_joins_colour(album: Path) -> None:
    picture(album / "wide.png", 9, size=12, channels=1)
    with pytest.raises(DataError, match=r"differ in size \(8x8, 12x12, \.\.\.\); give a size"):
        load(f"folder:{album}")
    assert load(f"folder:{album}", size=6).images.shape == (5, 3, 6, 6)
    assert load(f"folder:{album}", size=6, channels=1).images.shape == (5, 1, 6, 6)


def test_wrong_and_empty_folders_are_one_clear_line(album: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load(f"folder:{tmp_path / 'nowhere'}")
    with pytest.raises(DataError, match="is a file"):
        load(f"folder:{album / '0.png'}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        DataError, match=r"expected at least 1 picture in .*empty: no file lies there, or is listed"
    ):
        load(f"folder:{tmp_path / 'empty'}")
    with pytest.raises(DataError, match="no published split"):
        load(f"folder:{album}", split="train")


def test_home_is_expanded(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load("folder:~/album")) == 4
    assert len(open_lazily("folder:~/album", SourceOptions())) == 4


ESCAPES = {
    "a parent": "../secret.png",
    "a parent further in": "x/../../secret.png",
    "an absolute path": "/etc/hostname",
    "a link out": "link.png",
    "a linked folder": "out/secret.png",
    "nothing": "",
}


@pytest.mark.parametrize("name", ESCAPES)
def test_metadata_cannot_name_files_outside_the_folder(album: Path, name: str) -> None:
    picture(album.parent / "secret.png", 7)
    (album / "link.png").symlink_to(album.parent / "secret.png")
    (album / "out").symlink_to(album.parent)
    (album / "metadata.csv").write_text(f"file_name,x\n0.png,1\n{ESCAPES[name]},2\n")
    with pytest.raises(DataError, match=r"metadata\.csv:3: .* is not inside the folder"):
        load(f"folder:{album}")


def test_links_out_of_the_folder_are_skipped_by_name(album: Path) -> None:
    picture(album.parent / "secret.png", 7)
    (album / "link.png").symlink_to(album.parent / "secret.png")
    (album / "loop").symlink_to(album)
    images = load(f"folder:{album}")
    assert images.files == ("0.png", "1.png", "2.png", "3.png")
    assert ("link.png", "a link that leads out of the folder") in images.skipped
    assert ("loop", "a link to the folder itself, read there") in images.skipped


def test_a_listed_file_that_is_missing_is_skipped_by_name(album: Path) -> None:
    (album / "metadata.csv").write_text("file_name,x\n0.png,1\ngone.png,2\n")
    images = load(f"folder:{album}")
    assert images.skipped == (("gone.png", "there is no such file"),)
    assert images.classes == {"x": ("1",)}


def test_headers_say_what_holds_no_still_picture(album: Path, tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8), 100 * i) for i in range(2)]
    frames[0].save(album / "moving.gif", save_all=True, append_images=frames[1:])
    (album / "letter.txt").write_text("not a picture")
    (tmp_path / "outside.png").write_bytes((album / "0.png").read_bytes())
    files = ["0.png", "moving.gif", "letter.txt", "gone.png", "../outside.png"]
    pixels, left_out = read_headers(album, files)
    assert pixels == {"0.png": 64}
    reasons = dict(left_out)
    assert list(reasons) == files[1:]
    assert reasons["moving.gif"] == "several frames or pages; send one of them"
    assert reasons["gone.png"] == "there is no such file"
    assert "out of the folder" in reasons["../outside.png"]


def test_tables_of_subfolders_list_theirs_and_what_no_table_lists_is_left_out(
    tmp_path: Path,
) -> None:
    for name in ("listed/a.png", "listed/deep/b.png", "listed/not.png", "beside/c.png", "d.png"):
        picture(tmp_path / name, 3)
    (tmp_path / "listed" / "metadata.csv").write_text("file_name,who\na.png,ann\ndeep/b.png,bo\n")
    images = load(f"folder:{tmp_path}")
    assert images.files == ("listed/a.png", "listed/deep/b.png")
    assert [one.file for one in images.skipped] == ["beside/c.png", "d.png"]
    assert {one.reason for one in images.skipped} == {"no metadata.csv lists it"}
