from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sfumato.demo import photographs
from sfumato.demo.photographs import STEPS, Looked, look, photographs_demo
from sfumato.demo.scenes import EACH, SCENES, Scene
from sfumato.errors import UnavailableError
from sfumato.photo.find.box import Face

FACES = (
    Face(left=10, top=10, right=30, bottom=30),
    Face(left=60, top=10, right=80, bottom=30),
)


def test_what_was_missed_is_protected_all_the_same() -> None:
    scene = Scene(torch.zeros(3, 40, 100, dtype=torch.uint8), FACES)
    beside = replace(FACES[1], left=71, right=91)  # less than half of the face
    looked = Looked(scene, (FACES[0].grown(0.2), beside))
    assert looked.found() == [True, False]
    assert looked.protected() == [FACES[0].grown(0.2), beside, FACES[1]]
    assert Looked(scene, None).protected() == [*FACES]


def test_without_the_finder_no_share_of_faces_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise UnavailableError("finding faces needs onnx; pip install 'sfumato[photos]'")

    monkeypatch.setattr(photographs, "FaceFinder", missing)
    monkeypatch.setattr(photographs, "_named", lambda seed: (1.0, 0.5))
    notes: list[str] = []
    section = photographs_demo(seed=0, advance=notes.append)
    assert len(notes) == STEPS
    assert [figure.label for figure in section.figures] == [
        "who is shown, originals",
        "who is shown, pixelated",
    ]
    assert "marked by hand" in section.sentence
    assert "50 %" in section.sentence
    assert section.pictures[0].png.startswith(b"\x89PNG")


@pytest.mark.slow
def test_drawn_faces_are_found_and_nothing_else() -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra `photos`")
    looked = look(0)
    assert len(looked) == SCENES
    assert sum(sum(one.found()) for one in looked) >= EACH
    for one in looked:
        for box in one.boxes or ():
            assert any(face.common(box) for face in one.scene.faces)
