"""Faces cut out of pictures: one each, the rest named with the reason."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from sfumato.cli.main import app
from sfumato.data import encode_png, load
from sfumato.data.decoding.decode import Box, decode_image
from sfumato.data.faces import SKIPPED, cut_faces, frontal_faces
from sfumato.errors import DataError, InputError, UnavailableError

_SIDE = 12


def _squares(picture: Tensor) -> list[Box]:
    """A finder of drawn faces: each is a square of one full colour channel."""
    boxes: list[Box] = []
    for channel in picture:
        rows, columns = (channel == 255).nonzero().unbind(1)
        if len(rows):
            left, top, right, bottom = columns.min(), rows.min(), columns.max(), rows.max()
            boxes.append((int(left), int(top), int(right) + 1, int(bottom) + 1))
    return boxes


def _drawn(path: Path, *squares: tuple[int, int, int]) -> None:
    """Write a picture with a square in each named channel: (channel, left, top)."""
    picture = torch.full((3, 40, 50), 20, dtype=torch.uint8)
    for channel, left, top in squares:
        picture[channel, top : top + _SIDE, left : left + _SIDE] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(picture))


@pytest.fixture
def album(tmp_path: Path) -> Path:
    album = tmp_path / "album"
    _drawn(album / "ann" / "one.png", (0, 20, 10))
    _drawn(album / "bo" / "one.png", (1, 0, 28))
    _drawn(album / "bo" / "two.png", (0, 2, 2), (2, 30, 20))
    _drawn(album / "bo" / "none.png")
    (album / "ann" / "a: note.txt").write_text("no picture")
    return album


def test_one_face_is_cut_and_every_other_file_is_named(album: Path) -> None:
    out = album.parent / "faces"
    cut = cut_faces(album, out, size=24, find=_squares)
    assert cut.count == 2
    assert cut.skipped["bo/two.png"] == "2 faces found"
    assert cut.skipped["bo/none.png"] == "no face found"
    assert set(cut.skipped) == {"ann/a: note.txt", "bo/none.png", "bo/two.png"}
    assert sum(cut.reasons().values()) == 3
    with (out / SKIPPED).open(newline="") as stream:
        assert {row["file_name"]: row["reason"] for row in csv.DictReader(stream)} == cut.skipped
    faces = load(f"folder:{out}")
    assert faces.files == ("ann/one.png.png", "bo/one.png.png")
    assert [faces.classes["class"][i] for i in faces.label("class")] == ["ann", "bo"]
    assert not faces.skipped
    assert faces.images.shape == (2, 3, 24, 24)
    assert bool((faces.images[0, 0] == 255).all())
    assert bool((faces.images[0, 1] == 20).all())


def test_a_margin_shows_what_is_around_and_repeats_the_edge(album: Path) -> None:
    cut_faces(album, album.parent / "faces", size=24, margin=0.5, find=_squares)
    face = decode_image((album.parent / "faces" / "ann" / "one.png.png").read_bytes(), channels=3)
    assert int(face[0, 12, 12]) == 255
    assert int(face[0, 0, 0]) == 20
    edge = decode_image((album.parent / "faces" / "bo" / "one.png.png").read_bytes(), channels=3)
    assert int(edge[1, 12, 0]) == 255  # the face touches the picture's left edge


def test_the_largest_face_and_one_cut_by_the_edge(tmp_path: Path) -> None:
    _drawn(tmp_path / "in" / "a.png", (0, 20, 10))
    sizes: list[list[Box]] = [[(0, 0, 10, 10), (10, 10, 40, 40)]]
    cut = cut_faces(
        tmp_path / "in", tmp_path / "out", size=16, largest=True, find=lambda _: sizes[0]
    )
    assert cut.count == 1
    with pytest.raises(DataError, match="1 x the face is cut by the picture's edge"):
        cut_faces(tmp_path / "in", tmp_path / "other", size=16, find=lambda _: [(-10, 5, 20, 35)])
    assert not (tmp_path / "other").exists()


def test_nothing_is_overwritten_and_a_missing_detector_is_named(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="exists already"):
        cut_faces(album, album, size=16, find=_squares)
    with pytest.raises(InputError, match="would be read with it the next time"):
        cut_faces(album, album / "faces", size=16, find=_squares)
    monkeypatch.setattr("sfumato.extras.find_spec", lambda _: None)
    with pytest.raises(UnavailableError, match=r"sfumato\[faces\]"):
        frontal_faces()


def test_the_detector_finds_none_in_noise_and_the_command_says_so(tmp_path: Path) -> None:
    pytest.importorskip("dlib")
    folder = tmp_path / "in"
    folder.mkdir()
    noise = torch.randint(0, 256, (3, 90, 120), generator=torch.Generator().manual_seed(0))
    (folder / "noise.png").write_bytes(encode_png(noise.to(torch.uint8)))
    arguments = ["data", "faces", str(folder), str(tmp_path / "out")]
    with pytest.raises(DataError, match="1 x no face found"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_real_faces_are_found_alone_and_in_company(tmp_path: Path, real_data: Path) -> None:
    pytest.importorskip("dlib")
    faces = load("lfw", data_dir=real_data, channels=3, count=12).images
    folder = tmp_path / "in"
    folder.mkdir()
    for i, face in enumerate(faces[:10]):
        (folder / f"{i}.png").write_bytes(encode_png(face))
    (folder / "two.png").write_bytes(encode_png(torch.cat([faces[10], faces[11]], 2)))
    arguments = ["data", "faces", str(folder), str(tmp_path / "out"), "--size", "32", "--json"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["faces"] >= 9
    assert facts["reasons"]["2 faces found"] == 1
    assert facts["faces"] + facts["skipped"] == 11


def test_faces_of_files_with_any_name_are_read_again(tmp_path: Path) -> None:
    names = [" one.png", "two\nlines.png", "three, four.png", os.fsdecode(b"caf\xe9.png")]
    try:
        for name in names:
            _drawn(tmp_path / "album" / name, (0, 20, 10))
    except OSError:
        pytest.skip("this file system takes no such names")
    (tmp_path / "album" / "metadata.jsonl").write_text(
        "\n".join(json.dumps({"file_name": name, "who": "x"}) for name in names[:3])
    )
    cut_faces(tmp_path / "album", tmp_path / "some", size=24, find=_squares)
    assert load(f"folder:{tmp_path / 'some'}").files == tuple(sorted(f"{n}.png" for n in names[:3]))
    (tmp_path / "album" / "metadata.jsonl").unlink()
    cut_faces(tmp_path / "album", tmp_path / "all", size=24, find=_squares)
    found = load(f"folder:{tmp_path / 'all'}")
    assert (len(found), found.skipped) == (4, ())
    assert "caf\\udce9.png.png" in found.files
