from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from sfumato.attack.faces import MatchedFaces, RecognisedFaces, Viewed
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.audit import faces as module
from sfumato.audit.attacks import Setting
from sfumato.audit.faces import PHOTOGRAPH, ReleasedFaces, face_attacks, face_sides, faces_of
from sfumato.data.imageset import MISSING
from sfumato.data.leftout import LeftOut
from sfumato.errors import DataError
from sfumato.photo.boxes import read_boxes
from sfumato.photo.compare import ComparedFace, Pairs
from sfumato.photo.find.box import Face

BOX = Face(left=1, top=2, right=30, bottom=40, score=0.4)


def compared(file: str, number: int, *, covered: bool = True, blind: bool = False) -> ComparedFace:
    """Return a face that the network, as it is here, tells by its first pixel."""
    both = torch.full((2, 3, 4, 4), number, dtype=torch.uint8)
    both[1] += 100 if covered else 0
    return ComparedFace(
        file=file, face=BOX, found_again=not covered, aligned=None if blind else both
    )


FACES = [
    compared("a.png", 1),
    compared("b.png", 2),
    compared("b.png", 3, covered=False),  # of two in one photograph
    compared("c.png", 4, covered=False),
    compared("d.png", 5, blind=True),
    compared("e.png", 6),
]


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pairs:
    def embedded(faces: Tensor) -> Tensor:
        return (255 * faces[:, 0, :1, 0]).round()

    monkeypatch.setattr(module, "embedded", embedded)
    monkeypatch.setattr(module, "compare", lambda *_: (FACES, (LeftOut("f.mp4", "a film"),)))
    for name in "abcde":
        (tmp_path / f"{name}.png").touch()
    rows = ["a.png,ann,1", "b.png,bo,2", "c.png,ann,", "e.png,,3"]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,who,age", *rows]) + "\n")
    return Pairs(source=tmp_path, released=tmp_path / "public", files=(), left_out=())


def test_all_faces_are_counted_and_the_missed_ones_listed(pairs: Pairs, tmp_path: Path) -> None:
    found = faces_of(pairs)
    assert found.counts() == {
        "photographs": 5, "faces": 6, "aligned": 5, "still_matched": 2, "found_again": 2,
        "attacked": 5,
    }  # fmt: skip
    found.write_uncovered(tmp_path)
    table = read_boxes(tmp_path / "uncovered.csv").photos
    assert {file: [box.protect for box in boxes] for file, boxes in table.items()} == {
        "b.png": [True], "c.png": [True],
    }  # fmt: skip


def test_a_photographs_label_is_its_faces_where_it_has_one_face(pairs: Pairs) -> None:
    images = faces_of(pairs).images
    assert images.classes["who"] == ("ann",)
    assert images.label("who").tolist() == [0, MISSING, MISSING, 0, MISSING]
    assert images.label(PHOTOGRAPH).tolist() == [0, 1, 1, 2, 3]
    named = faces_of(pairs, "who")
    assert len(named.images) == 2
    assert named.counts()["faces"] == 6  # whoever they are, they are counted


def test_a_label_of_the_name_that_faces_get_is_refused(pairs: Pairs) -> None:
    (pairs.source / "metadata.csv").write_text("file_name,photograph\na.png,x\n")
    with pytest.raises(DataError, match="rename its label 'photograph'"):
        faces_of(pairs)


def test_the_release_is_known_face_by_face(pairs: Pairs) -> None:
    found = faces_of(pairs)
    images = found.images.floats()
    released = found.protector.release(images.flip(0))
    assert (255 * released[:, 0, 0, 0]).round().tolist() == [106, 4, 3, 102, 101]
    with pytest.raises(DataError, match="its own photographs only"):
        found.protector.release(images * 0.5)
    assert isinstance(found.protector, ReleasedFaces)


def test_sides_share_no_photograph_or_no_person(pairs: Pairs) -> None:
    images = faces_of(pairs).images
    victims, adversary = face_sides(images, None, seed=0)
    numbers = [set(side.label(PHOTOGRAPH).tolist()) for side in (victims, adversary)]
    assert not numbers[0] & numbers[1]
    assert len(numbers[0] | numbers[1]) == 4
    with pytest.raises(DataError, match="two values of 'who' at least; it has 1"):
        face_sides(faces_of(pairs, "who").images, "who", seed=0)


def test_every_label_is_read_by_pixels_and_by_a_network_of_faces() -> None:
    setting = Setting(seeds=(0, 1), config=LearnerConfig(), identity="who")
    matched, recognised, *reading = face_attacks(["age"], setting)
    assert isinstance(matched, MatchedFaces)
    assert isinstance(recognised, RecognisedFaces)
    assert (matched.group, recognised.identity) == ("who", "who")
    assert [one.name for one in reading] == ["attributes:age", "faces:age"]
    assert [one.by for one in reading if isinstance(one, Viewed)] == ["pixels", "network"]
    # Whom a face shows is asked by looking it up: nobody is on both sides to be named.
    assert [one.name for one in face_attacks(["who"], setting)] == ["matched", "recognised"]
