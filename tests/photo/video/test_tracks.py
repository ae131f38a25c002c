from __future__ import annotations

from sfumato.photo.find.box import Face
from sfumato.photo.video.tracks import Track, link, protected_boxes


def face(left: float, top: float = 0, side: float = 20, score: float = 0.9) -> Face:
    return Face(left=left, top=top, right=left + side, bottom=top + side, score=score)


def test_a_face_that_moves_is_one_track() -> None:
    found = {frame: [face(3.0 * frame), face(400 - 3.0 * frame, 100)] for frame in range(0, 60, 2)}
    tracks = link(found, patience=25)
    assert sorted(len(track.seen) for track in tracks) == [30, 30]


def test_a_fast_face_is_followed_by_where_it_is_expected() -> None:
    found = {frame: [face(15.0 * frame)] for frame in range(0, 40, 2)}  # 30 of 20 pixels a search
    assert len(link({0: [face(0)], 2: [face(30)]}, patience=9)) == 2  # nobody knows its way yet
    started = {0: [face(0.0)], 1: [face(15.0)]} | found
    assert len(link(started, patience=25)) == 1


def test_a_gap_is_filled_on_a_line() -> None:
    track = link({0: [face(0)], 2: [], 4: [], 6: [face(12)]}, patience=9)[0]
    between = track.at(3)
    assert between is not None
    assert (between.left, between.right) == (6, 26)
    assert track.at(7) is None


def test_what_is_gone_for_long_is_another_track() -> None:
    assert len(link({0: [face(0)], 30: [face(0)]}, patience=25)) == 2


def test_another_size_is_another_face() -> None:
    assert len(link({0: [face(0)], 2: [face(0, side=60)]}, patience=25)) == 2


def test_the_score_of_a_track_is_its_best() -> None:
    track = link({0: [face(0, score=0.25)], 2: [face(0, score=0.6)]}, patience=25)[0]
    assert track.score == 0.6


def test_every_frame_of_a_track_has_a_box_and_some_beyond() -> None:
    boxes = protected_boxes([Track({4: face(0), 8: face(40)})], beyond=2, frames=10)
    assert sorted(boxes) == [2, 3, 4, 5, 6, 7, 8, 9]


def test_fast_motion_gets_a_larger_box() -> None:
    still = Track({0: face(0), 4: face(0)}).boxes(beyond=0, frames=5)
    fast = Track({0: face(0), 4: face(40)}).boxes(beyond=0, frames=5)
    assert still[2].width == 20
    assert fast[2].width == 40
    for frame in (1, 2, 3):  # where it was before and will be after is covered
        assert fast[frame].left <= 10 * (frame - 1)
        assert fast[frame].right >= 10 * (frame + 1) + 20
