from __future__ import annotations

import json
from dataclasses import asdict

from sfumato.photo.find.box import Face
from sfumato.photo.track import Track, track_of

TIMES = range(0, 400, 40)


def face(left: float, top: float = 0, side: float = 20, score: float = 0.9) -> Face:
    return Face(left=left, top=top, right=left + side, bottom=top + side, score=score)


def track(*points: tuple[int, Face]) -> Track:
    return Track(name="1", points=points, protect=True)


def test_between_two_points_a_box_lies_on_a_line() -> None:
    one = track((40, face(0)), (200, face(16)))
    assert [one.at(ms).left for ms in (0, 40, 80, 120, 200, 999)] == [0, 0, 4, 8, 16, 16]


def test_the_frame_that_is_shown_at_the_start_is_covered() -> None:
    assert track((50, face(0)), (130, face(0))).frames(TIMES) == range(1, 4)
    assert track((80, face(0))).frames(TIMES) == range(2, 3)
    assert track((50, face(0)), (60, face(0))).frames(TIMES) == range(1, 2)
    assert track((0, face(0)), (9999, face(0))).frames(TIMES) == range(10)
    assert track((0, face(0))).frames([500, 540]) == range(1)  # its first frame is late


def test_fast_motion_gets_a_larger_box() -> None:
    still = track((0, face(0)), (160, face(0))).boxes(TIMES)
    fast = track((0, face(0)), (160, face(40))).boxes(TIMES)
    assert still[2].width == 20
    assert fast[2].width == 40
    for frame in (1, 2, 3):  # where it was before and will be after is covered
        assert fast[frame].left <= 10 * (frame - 1)
        assert fast[frame].right >= 10 * (frame + 1) + 20


def test_a_track_goes_through_json() -> None:
    one = track((0, face(0)), (160, face(40)))
    assert track_of(json.loads(json.dumps(asdict(one)))) == one
