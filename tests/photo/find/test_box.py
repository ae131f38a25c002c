from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.photo.find.box import Face, between, hull, in_picture, merged, rotated_back


def face(left: float, top: float, right: float, bottom: float, score: float = 1.0) -> Face:
    return Face(left=left, top=top, right=right, bottom=bottom, score=score)


@given(
    st.integers(0, 3), st.integers(0, 6), st.integers(0, 4), st.integers(1, 4), st.integers(1, 3)
)
def test_a_box_is_rotated_back_to_its_pixels(
    quarters: int, left: int, top: int, wide: int, high: int
) -> None:
    picture = torch.zeros(8, 11)
    picture[top : top + high, left : left + wide] = 1
    rotated = torch.rot90(picture, quarters)
    rows, columns = rotated.nonzero(as_tuple=True)
    found = face(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    assert rotated_back(found, quarters, (8, 11)) == face(left, top, left + wide, top + high)


def test_of_boxes_of_one_face_the_surest_stays() -> None:
    one, same, other = face(0, 0, 10, 10, 0.5), face(1, 0, 11, 10, 0.9), face(30, 0, 40, 10, 0.3)
    assert merged([one, same, other]) == [same, other]


def test_overlap_is_common_over_all() -> None:
    assert face(0, 0, 10, 10).overlap(face(5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert face(0, 0, 10, 10).overlap(face(10, 10, 20, 20)) == 0
    assert face(0, 0, 0, 0).overlap(face(0, 0, 0, 0)) == 0


def test_a_grown_and_scaled_box() -> None:
    assert face(10, 10, 20, 30).grown(0.5) == face(5, 0, 25, 40)
    assert face(1, 2, 3, 4).scaled(2).shifted(10, 0) == face(12, 4, 16, 8)


def test_a_box_shows_some_of_its_picture_and_reaches_a_little_beyond() -> None:
    inside, beyond, outside = face(0, 0, 9, 9), face(-900, 5, 50, 900), face(100, 0, 110, 9)
    assert in_picture([inside, beyond, outside], (100, 80)) == [inside, face(-25, 5, 50, 100)]


def test_what_is_between_two_boxes_and_around_them() -> None:
    one, other = face(0, 0, 10, 10, 0.9), face(8, 4, 14, 24, 0.5)
    assert between(one, other, 0.5) == face(4, 2, 12, 17, 0.5)
    assert hull([one, other]) == face(0, 0, 14, 24, 0.9)
