from __future__ import annotations

from sfumato.photo.find.box import Face
from sfumato.photo.track import Track
from sfumato.photo.video.link import Linked, link, thinned


def face(left: float, top: float = 0, side: float = 20, score: float = 0.9) -> Face:
    return Face(left=left, top=top, right=left + side, bottom=top + side, score=score)


def test_a_face_that_moves_is_one_track() -> None:
    found = {frame: [face(3.0 * frame), face(400 - 3.0 * frame, 100)] for frame in range(0, 60, 2)}
    linked = link(found, patience=25)
    assert sorted(len(one.seen) for one in linked) == [30, 30]


def test_a_fast_face_is_followed_by_where_it_is_expected() -> None:
    found = {frame: [face(15.0 * frame)] for frame in range(0, 40, 2)}  # 30 of 20 pixels a search
    assert len(link({0: [face(0)], 2: [face(30)]}, patience=9)) == 2  # nobody knows its way yet
    started = {0: [face(0.0)], 1: [face(15.0)]} | found
    assert len(link(started, patience=25)) == 1


def test_what_is_gone_for_long_is_another_track() -> None:
    assert len(link({0: [face(0)], 30: [face(0)]}, patience=25)) == 2


def test_another_size_is_another_face() -> None:
    assert len(link({0: [face(0)], 2: [face(0, side=60)]}, patience=25)) == 2


def test_the_score_of_a_track_is_its_best() -> None:
    linked = link({0: [face(0, score=0.25)], 2: [face(0, score=0.6)]}, patience=25)[0]
    assert linked.score == 0.6


def test_a_track_lasts_a_moment_longer_and_fills_its_gaps() -> None:
    linked = Linked({4: face(0), 8: face(40)})
    track = linked.track(range(0, 400, 40), beyond=80, frames=0, name="7", protect=True)
    assert (track.name, track.found) == ("7", 2)
    assert track.frames(range(0, 400, 40)) == range(2, 10)  # the film has ten
    assert [track.at(40 * f).left for f in (2, 4, 6, 8, 9)] == [0, 0, 20, 40, 40]


def test_a_track_lasts_as_long_where_frames_follow_each_other_fast() -> None:
    times = [0, 1000, 2000, *range(2016, 3000, 16), 4000]
    first = times.index(2512)
    track = Linked({first: face(0)}).track(times, beyond=250, frames=2, name="1", protect=True)
    # Two frames more than a quarter of a second: faces are looked for in every second one.
    assert (track.start, track.end) == (2240, 2784)


def test_a_track_has_what_a_table_holds() -> None:
    linked = Linked({0: Face(left=0.04, top=1.26, right=0.05, bottom=9, score=0.70044)})
    [(_, box)] = linked.track([0], beyond=100, frames=2, name="1", protect=True).points
    assert box == Face(left=0, top=1.3, right=0.1, bottom=9, score=0.7)


def test_points_on_a_line_are_left_out_and_no_box_strays() -> None:
    steps = [(40 * i, face(3.0 * i + (0.4 if i % 2 else 0), side=20)) for i in range(50)]
    bend = [(2000 + 40 * i, face(150 - 5.0 * i)) for i in range(20)]
    kept = thinned([*steps, *bend], 0.05)
    assert kept[0] == steps[0]
    assert kept[-1] == bend[-1]
    assert len(kept) < 8
    line = Track(name="1", points=kept, protect=True)
    for ms, box in [*steps, *bend]:
        assert abs(line.at(ms).left - box.left) <= 1  # a twentieth of 20 pixels
