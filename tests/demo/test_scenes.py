from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sfumato.data.sets.people import people
from sfumato.demo.scenes import EACH, SCENES, Scene, compose


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    pale, black = ([replace(one, skin=skin) for one in people(EACH, 0)] for skin in (0, 4))
    return [compose(pale, 0, 0), compose(pale, 0, 0), compose(black, 0, 0)]


def test_a_scene_depends_on_its_people_and_the_seed(scenes: list[Scene]) -> None:
    same, again, others = scenes
    assert torch.equal(same.picture, again.picture)
    assert not torch.equal(same.picture, others.picture)
    assert same.faces == others.faces
    assert compose(people(EACH, 0), 1, 0).faces != same.faces
    assert SCENES == 2


def test_skin_lies_where_faces_are_said_to_be(scenes: list[Scene]) -> None:
    same, _, others = scenes
    changed = (same.picture != others.picture).any(0)
    for face in same.faces:
        left, top, right, bottom = map(round, (face.left, face.top, face.right, face.bottom))
        assert changed[top:bottom, left:right].float().mean() > 0.5
    assert not changed[:40, :120].any()  # the wall
