from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from sfumato.errors import DataError, ImageError
from sfumato.features.facenet import FaceNet
from sfumato.photo import compare as module
from sfumato.photo.compare import alone, compare, compare_one, pair_files
from sfumato.photo.find.box import Face
from sfumato.photo.find.finder import FaceFinder
from tests.drawn import drawn_face, needs_faces

FACE = Face(left=80, top=70, right=150, bottom=165, score=0.3)
NOBODY = Face(left=260, top=20, right=290, bottom=60, score=0.3)
SURE_OF_NOBODY = Face(left=250, top=90, right=300, bottom=150, score=0.8)


class Found(FaceFinder):
    """In place of the detector: a face that it is not sure of, and two boxes without one."""

    def __init__(self) -> None:
        pass

    def __call__(self, picture: Tensor, **asked: object) -> list[Face]:
        least = asked.get("least", 0.2)
        assert isinstance(least, float)
        return [one for one in (SURE_OF_NOBODY, FACE, NOBODY) if one.score >= least]


def photograph(path: Path, person: int, *, covered: bool = False, wide: int = 320) -> None:
    pixels = torch.full((3, 200, wide), 128, dtype=torch.uint8)
    pixels[:, 20:180, 30:190] = 60 if covered else drawn_face(person)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(path)


def test_files_are_paired_by_the_names_that_a_release_gives(tmp_path: Path) -> None:
    names = {
        "a.bmp": "a.png", "b.jpg": "b.jpg", "c/d.avif": "c/d.avif.jpg", "c/d.jpg": "c/d.jpg",
        "gone.png": None,
    }  # fmt: skip
    for file, name in names.items():
        for folder, one in (("in", file), ("out", name)):
            if one is not None:
                photograph(tmp_path / folder / one, 1)
    for file in ("f.mp4", "metadata.csv", "broken.png"):
        (tmp_path / "in" / file).write_bytes(b"no picture")
    pairs = pair_files(tmp_path / "in", tmp_path / "out")
    assert dict(pairs.files) == {file: name for file, name in names.items() if name is not None}
    assert [one.file for one in pairs.left_out] == ["f.mp4", "broken.png", "gone.png"]


def test_a_release_without_names_is_refused(tmp_path: Path) -> None:
    for name in ("in/me.png", "out/00000000.png"):
        photograph(tmp_path / name, 1)
    with pytest.raises(DataError, match="--keep-names` keeps names"):
        pair_files(tmp_path / "in", tmp_path / "out")


@needs_faces
def test_every_face_is_cut_at_the_same_place_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FaceFinder", Found)
    for name, covered in (("in/a.png", False), ("out/a.png", True)):
        photograph(tmp_path / name, 1, covered=covered)
    for name in ("in/b.png", "out/b.png"):
        photograph(tmp_path / name, 2)
    (tmp_path / "in" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "out" / "broken.png").write_bytes(b"no picture")
    faces, left_out = compare(pair_files(tmp_path / "in", tmp_path / "out"))
    assert [one.file for one in left_out] == ["broken.png"]
    # dlib finds the unsure face, so it counts; of the other two boxes the sure one does.
    assert [(one.file, one.face.score) for one in faces] == [
        ("a.png", 0.8), ("a.png", 0.3), ("b.png", 0.8), ("b.png", 0.3),
    ]  # fmt: skip
    assert [one.found_again for one in faces] == [True, False, True, False]
    assert [one.aligned is None for one in faces] == [True, False, True, False]
    covered, clear = faces[1].aligned, faces[3].aligned
    assert covered is not None
    assert clear is not None
    assert covered.shape == clear.shape == (2, 3, 150, 150)
    assert torch.equal(clear[0], clear[1])
    assert int(covered[1, :, 40:110, 40:110].float().std()) == 0
    assert alone(faces) == set()
    assert alone(faces[1:]) == {"a.png"}


def test_a_folder_of_films_alone_is_named(tmp_path: Path) -> None:
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.mp4").write_bytes(b"a film")
    with pytest.raises(DataError, match="expected photographs, got 1 film alone"):
        pair_files(tmp_path / "in", tmp_path / "out")


@needs_faces
def test_photographs_of_another_size_are_not_the_same(tmp_path: Path) -> None:
    photograph(tmp_path / "in" / "a.png", 1)
    photograph(tmp_path / "out" / "a.png", 1, wide=330)
    pairs = pair_files(tmp_path / "in", tmp_path / "out")
    with pytest.raises(ImageError, match="320x200 pixels, and 330x200 in the release"):
        list(compare_one(pairs, "a.png", "a.png", lambda *_: [], FaceNet()))
