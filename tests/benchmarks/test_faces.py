from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.faces import Tally, covered, is_false
from benchmarks.scenes import Pasted, Scene, make_scenes
from sfumato.photo.find.box import Face

PASTED = Pasted(box=(50, 50, 90, 90), size=40, rotation=0, light="plain", who=1)


def box(left: float, top: float, right: float, bottom: float) -> Face:
    return Face(left=left, top=top, right=right, bottom=bottom)


def test_a_face_counts_where_its_middle_is_covered() -> None:
    assert covered(PASTED, [box(52, 50, 88, 90)])
    assert not covered(PASTED, [box(50, 50, 60, 60)])
    assert not covered(PASTED, [])


def test_a_box_is_false_where_no_face_is() -> None:
    assert not is_false(box(52, 50, 88, 90), [PASTED])
    assert is_false(box(0, 0, 40, 40), [PASTED])
    assert is_false(box(0, 0, 1000, 1000), [PASTED])


def test_scenes_say_where_their_faces_are(tmp_path: Path) -> None:
    Image.new("RGB", (900, 700), "white").save(tmp_path / "a.png")
    faces = np.zeros((1, 160, 160, 3), np.uint8)
    first, *_, last = make_scenes([tmp_path / "a.png"], faces, [7], 3, seed=4)
    assert last.faces == ()
    assert first.faces
    for face in first.faces:
        left, top, right, bottom = face.box
        assert right - left == face.size
        assert first.pixels[(top + bottom) // 2, (left + right) // 2].max() < 255


def test_a_tally_counts_by_size_and_light() -> None:
    tally = Tally()
    tally.add(Scene(np.zeros((200, 200, 3), np.uint8), (PASTED,)), [box(52, 50, 88, 90)])
    assert (tally.found, tally.faces, tally.false) == (1, 1, 0)
    assert tally.by == {"40 px": [1, 1], "0 degrees": [1, 1], "plain": [1, 1]}
