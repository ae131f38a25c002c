from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from benchmarks.scenes import Pasted, Scene
from benchmarks.who import judged
from sfumato.photo.find.box import Face

OWN, STRANGER = 7, 8
_BOXES = {OWN: (10, 10, 50, 50), STRANGER: (100, 10, 140, 50)}


def _face(who: int) -> Face:
    left, top, right, bottom = _BOXES[who]
    return Face(left=left, top=top, right=right, bottom=bottom)


class _Knows:
    """A chooser for whom every face on the left is close to the person."""

    def __init__(self, own: float, stranger: float) -> None:
        self.own, self.stranger = own, stranger

    def sigmas(self, picture: Any, face: Face) -> float:
        return self.own if face.left < 60 else self.stranger


def _counts(found: list[int], own: float, stranger: float) -> Counter[str]:
    faces = tuple(
        Pasted(box=_BOXES[who], size=40, rotation=0, light="plain", who=who) for who in _BOXES
    )
    scene = Scene(np.zeros((80, 200, 3), np.uint8), faces)
    finder: Any = lambda picture, least: [_face(who) for who in found]  # noqa: E731
    choosers: Any = {OWN: _Knows(own, stranger), 99: _Knows(0, 0)}  # 99 is in no scene
    return Counter(judged(scene, finder, choosers))


def test_a_face_is_protected_where_it_is_found_and_chosen() -> None:
    assert _counts([OWN, STRANGER], own=0.5, stranger=9.0) == {
        "own: found": 1, "only, own: protected": 1, "except, own: clear": 1,
        "stranger: found": 1, "only, stranger: clear": 1, "except, stranger: protected": 1,
    }  # fmt: skip


def test_what_is_missed_stays_clear_whoever_it_is() -> None:
    counts = _counts([], own=0.5, stranger=9.0)
    assert counts["own: missed"] == counts["stranger: missed"] == 1
    assert counts["only, own: clear"] == counts["except, stranger: clear"] == 1


def test_a_face_between_the_two_limits_is_protected_by_both() -> None:
    counts = _counts([OWN, STRANGER], own=2.0, stranger=2.0)
    assert counts["only, own: protected"] == counts["except, own: protected"] == 1
    assert counts["only, stranger: protected"] == counts["except, stranger: protected"] == 1
