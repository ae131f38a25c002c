from __future__ import annotations

from pathlib import Path

import pytest

from sfumato.photo.find.box import Face
from sfumato.photo.stills import Stretch, stills_of, stretches
from sfumato.photo.track import Track
from sfumato.photo.video.watched import Watched
from tests.photo.video import films

BOX = Face(left=20, top=30, right=50, bottom=60)


def watched(*tracks: tuple[int, int, bool], times: range = range(0, 4000, 40)) -> Watched:
    made = [
        Track(name=str(i), points=((start, BOX), (end, BOX)), protect=protect)
        for i, (start, end, protect) in enumerate(tracks)
    ]
    return Watched(size=(128, 96), times=tuple(times), tracks=tuple(made))


def test_stretches_without_a_protected_face_are_listed() -> None:
    film = watched((400, 800, True), (1000, 2000, True), (2200, 2800, False), (3000, 3960, True))
    assert stretches(film) == [
        Stretch(frames=range(10), start=0, end=400),
        Stretch(frames=range(51, 75), start=2040, end=3000),
    ]


def test_a_film_without_a_face_is_one_stretch_however_short() -> None:
    assert stretches(watched(times=range(0, 80, 40))) == [Stretch(frames=range(2), start=0, end=40)]
    assert len(stretches(watched(times=range(1)))) == 1


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films.write_film(tmp_path_factory.mktemp("film") / "a.mp4")


def test_a_track_is_shown_from_its_first_to_its_last_frame(film: Path) -> None:
    times = range(0, 40 * 12, 40)
    stills = stills_of(film, watched((0, 440, True), (80, 80, False), times=times))
    assert [[cut.ms for cut in cuts] for cuts in stills.of_tracks] == [
        [0, 120, 280, 400, 520], [80],
    ]  # fmt: skip
    left, top, width, height = stills.of_tracks[0][0].box
    assert left == pytest.approx(1 - left - width, abs=0.02)
    assert (top, height) == (pytest.approx(left), width)
    assert 0.3 < width < 0.4  # seen with what is around it


def test_the_whole_film_is_shown_with_what_is_clear(film: Path) -> None:
    times = range(0, 40 * 12, 40)
    stills = stills_of(film, watched((0, 40, True), (360, 440, True), times=times))
    assert [still.ms for still in stills.whole] == [0, 240, 520]
    assert all(still.url.startswith("data:image/jpeg;base64,") for still in stills.whole)
