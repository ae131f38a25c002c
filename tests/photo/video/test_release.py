from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sfumato.errors import DataError, InputError
from sfumato.photo.album import release_photos
from sfumato.photo.boxes import read_boxes
from sfumato.photo.choice import Chooser
from sfumato.photo.config import FaceConfig
from sfumato.photo.dryrun import planned
from sfumato.photo.find.box import Face
from sfumato.photo.find.finder import FaceFinder
from sfumato.photo.job import Job
from sfumato.photo.video import release as module
from sfumato.photo.video.film import film_of
from sfumato.photo.video.release import watch, write_film
from sfumato.photo.video.writing import rewrite
from sfumato.protect.baselines import Pixelate
from sfumato.types import Protector
from tests.photo.video import films


class Stripes(FaceFinder):
    """In place of the detector: the square, unless it has to be guessed."""

    blind = (4, 6)

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, picture: torch.Tensor, **_: object) -> list[Face]:
        number, self.calls = 2 * self.calls, self.calls + 1
        if number in self.blind:
            return []
        left = 20 + 4 * number
        return [Face(left=left, top=30, right=left + 30, bottom=60, score=0.9)]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films.write_film(tmp_path_factory.mktemp("film") / "a.mp4")


def contrast(frames: list[np.ndarray]) -> list[float]:
    return [
        float(np.abs(np.diff(frame[32:58, 24 + 4 * i : 44 + 4 * i, 0].astype(int))).mean())
        for i, frame in enumerate(frames)
    ]


def test_a_face_is_protected_in_every_frame_of_its_track(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    watched = watch(film, Stripes(), FaceConfig())
    assert (len(watched.times), len(watched.tracks)) == (12, 1)
    write_film(Pixelate(112), film, out, watched, FaceConfig(), secret=bytes(32))
    assert min(contrast(films.frames_of(film))) > 50
    assert max(contrast(films.frames_of(out))) < 12
    corner = np.stack([frame[:20, :20] for frame in films.frames_of(out)]).astype(int)
    assert np.abs(corner - 90).max() <= 3


def test_times_and_sound_stay_and_tags_go(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    rewrite(film, out, lambda *_: None)
    assert films.times_of(out) == films.times_of(film)
    assert films.sound_of(out) == films.sound_of(film)
    assert b"private" in film.read_bytes()
    assert b"private" not in out.read_bytes()
    assert b"at home" not in out.read_bytes()


def test_a_mute_film_has_no_sound(film: Path, tmp_path: Path) -> None:
    rewrite(film, tmp_path / "out.mp4", lambda *_: None, mute=True)
    assert films.sound_of(tmp_path / "out.mp4") == []


def test_colours_stay(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    rewrite(film, out, lambda _, pixels: pixels)
    for before, after in zip(films.frames_of(film), films.frames_of(out), strict=True):
        assert abs(before.astype(int) - after).mean() < 4


def test_a_face_has_one_draw_in_all_its_frames(film: Path, tmp_path: Path) -> None:
    class Drawn(Protector):
        name = "drawn"

        def __init__(self) -> None:
            self.draws: list[float] = []

        def release(self, images: torch.Tensor) -> torch.Tensor:
            self.draws.append(float(torch.rand(())))
            return images

    seen = []
    for secret in (bytes(32), b"\1" * 32):
        protector = Drawn()
        watched = watch(film, Stripes(), FaceConfig())
        write_film(protector, film, tmp_path / "b.mp4", watched, FaceConfig(), secret=secret)
        assert len(protector.draws) == len(films.TIMES)
        seen.append(set(protector.draws))
    assert [len(draws) for draws in seen] == [1, 1]
    assert seen[0] != seen[1]


def test_a_webm_stays_a_webm(tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "a.webm", "libvpx-vp9", "libopus")
    rewrite(source, tmp_path / "b.webm", lambda *_: None)
    assert films.times_of(tmp_path / "b.webm") == films.times_of(source)
    assert film_of(tmp_path / "b.webm").sound


@pytest.fixture
def job(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A folder with a film, whose face the detector's place knows."""
    monkeypatch.setattr("sfumato.photo.search.FaceFinder", Stripes)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "Anna.mp4").write_bytes(film.read_bytes())
    return Job(protector=Pixelate(112), source=tmp_path / "in", out=tmp_path / "out")


def corrected(job: Job, table: str) -> Job:
    """Return the job with a table, written elsewhere."""
    path = job.out.with_name("mine.csv")
    path.write_text(table)
    return replace(job, boxes=path, out=job.out.with_name("again"))


def test_a_folder_of_films_is_released(job: Job) -> None:
    (job.source / "no.mkv").write_bytes(b"no film")
    done = release_photos(job)
    assert (done.films, done.tracks, done.tracks_left_clear, done.left_out) == (1, 1, 0, 1)
    assert [p.name for p in done.folder.iterdir()] == ["00000000.mp4"]
    assert max(contrast(films.frames_of(done.folder / "00000000.mp4"))) < 12
    assert "found in 4 frames, filled in for 8 more" in done.review.read_text()


def test_a_film_released_by_its_own_table_is_the_same(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = release_photos(replace(job, keep_names=True))
    [track] = read_boxes(first.boxes).films["Anna.mp4"]
    assert (track.start, track.end) == (0, 520)
    monkeypatch.setattr("sfumato.photo.search.FaceFinder", None)  # nothing is searched
    again = release_photos(replace(corrected(job, first.boxes.read_text()), keep_names=True))
    assert again.boxes.read_text() == first.boxes.read_text()
    for one, other in zip(
        films.frames_of(first.folder / "Anna.mp4"),
        films.frames_of(again.folder / "Anna.mp4"),
        strict=True,
    ):
        assert (one == other).all()


def test_a_folder_without_a_usable_film_says_why(job: Job) -> None:
    (job.source / "Anna.mp4").write_bytes(b"no film")
    with pytest.raises(DataError, match="got 1 file of which none can be used: Anna"):
        release_photos(job)
    assert [path.name for path in job.out.parent.iterdir()] == ["in"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_name_that_is_no_text_goes_through_review_and_table(job: Job) -> None:
    odd = job.source / os.fsdecode(b"bad\xff.mp4")
    (job.source / "Anna.mp4").rename(odd)
    first = release_photos(replace(job, keep_names=True))
    assert (first.folder / odd.name).exists()
    assert r"bad\udcff.mp4" in first.review.read_text()
    assert release_photos(corrected(job, first.boxes.read_text())).tracks == 1


def test_a_person_adds_a_track_for_a_stretch_and_drops_another(job: Job) -> None:
    first = release_photos(job)
    text = first.boxes.read_text().replace(",yes,1,", ",no,1,")
    text += "Anna.mp4,28,30,58,60,,yes,mine,0.080\nAnna.mp4,40,30,70,60,,yes,mine,0:00.240\n"
    again = release_photos(corrected(job, text))
    assert (again.tracks, again.tracks_left_clear) == (1, 1)
    stripes = contrast(films.frames_of(again.folder / "00000000.mp4"))
    covered = [number for number, value in enumerate(stripes) if value < 12]
    assert [films.TIMES[number] for number in covered] == [2, 3, 5, 6]  # of 0.08 to 0.24 s


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("", "has no row for Anna.mp4, which would be released as it is"),
        ("anna.mp4,,,,,,,,\n", "has a row for anna.mp4, which .* lacks; correct"),
        ("Anna.mp4,500,1,510,9,,,1,0\n", "500, 1, 510, 9 of Anna.mp4 lies outside of its 128x96"),
        ("Anna.mp4,-9999,1,50,9,,,1,0\n", "lies outside of its 128x96 pixels"),
        ("Anna.mp4,1,1,50,9,,,1,1:15\n", "track 1 of Anna.mp4 starts at 01:15.000, and the last"),
    ],
)
def test_a_table_that_would_leave_a_face_clear_is_refused(job: Job, row: str, message: str) -> None:
    head = "file_name,left,top,right,bottom,score,protect,track,time\n"
    with pytest.raises(DataError, match=message):
        release_photos(corrected(job, head + row))
    assert {path.name for path in job.out.parent.iterdir()} == {"in", "mine.csv"}
    if "lies" not in message and "starts" not in message:
        with pytest.raises(DataError, match=message):
            planned(corrected(job, head + row))


def test_an_interrupted_film_is_not_searched_again(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = module.rewrite

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "rewrite", full)
    with pytest.raises(InputError, match="No space left"):
        release_photos(job)
    monkeypatch.setattr(module, "rewrite", whole)
    monkeypatch.setattr("sfumato.photo.search.FaceFinder", None)
    assert release_photos(job).tracks == 1


def test_a_film_that_cannot_be_written_is_left_out(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job.source / "b.mp4").write_bytes((job.source / "Anna.mp4").read_bytes())
    whole = module.rewrite

    def other(path: Path, *arguments: object, **options: object) -> int:
        count = whole(path, *arguments, **options)
        return count + (path.name == "Anna.mp4")

    monkeypatch.setattr(module, "rewrite", other)
    done = release_photos(job)
    assert (done.films, done.left_out) == (1, 1)
    assert 'Anna.mp4,"expected 12 frames as when' in (
        job.out.with_name("out.left-out.csv").read_text()
    )
    assert len(list(done.folder.iterdir())) == 1


@pytest.mark.parametrize("answer", [True, False])
def test_only_who_is_chosen_is_protected(film: Path, answer: bool) -> None:
    class All(Chooser):
        fingerprint = "all"

        def __call__(self, picture: object, faces: object) -> list[bool]:
            return [answer for _ in faces]

        def of_track(self, answers: list[bool]) -> bool:
            return all(answers)

    watched = watch(film, Stripes(), FaceConfig(), All())
    assert [one.protect for one in watched.tracks] == [answer]


def test_frames_of_several_sizes_become_the_largest(tmp_path: Path) -> None:
    source = films.write_sizes(tmp_path / "a.webm", ((48, 64), (96, 128)))
    watched = watch(source, Quarter(), FaceConfig())
    assert watched.size == (128, 96)
    [track] = watched.tracks
    assert {face.left for _, face in track.points} == {32}
    out = tmp_path / "b.webm"
    write_film(Pixelate(112), source, out, watched, FaceConfig(grow=0.0), secret=bytes(32))
    frames = films.frames_of(out)
    assert {frame.shape for frame in frames} == {(96, 128, 3)}
    covered = [float(frame[30:42, 36:60].astype(int).std()) for frame in frames]
    clear = [float(frame[30:42, 76:100].astype(int).std()) for frame in frames]
    assert max(covered) < 12 < 30 < min(clear)


class Quarter(FaceFinder):
    """In place of the detector: a box in the same part of every picture."""

    def __init__(self) -> None:
        pass

    def __call__(self, picture: torch.Tensor, **_: object) -> list[Face]:
        height, width = picture.shape[1:]
        return [Face(left=width / 4, top=height / 4, right=width / 2, bottom=height / 2, score=0.9)]
