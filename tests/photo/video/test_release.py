from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sfumato.errors import ImageError
from sfumato.photo.album import Job, release_photos
from sfumato.photo.choice import Chooser
from sfumato.photo.config import FaceConfig
from sfumato.photo.find.box import Face
from sfumato.photo.find.finder import FaceFinder
from sfumato.photo.video.film import film_of, rewrite
from sfumato.photo.video.release import chosen, watch, write_film
from sfumato.protect.baselines import Pixelate
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
    assert (watched.frames, len(watched.tracks)) == (12, 1)
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


def test_a_webm_stays_a_webm(tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "a.webm", "libvpx-vp9", "libopus")
    rewrite(source, tmp_path / "b.webm", lambda *_: None)
    assert films.times_of(tmp_path / "b.webm") == films.times_of(source)
    assert film_of(tmp_path / "b.webm").sound


def test_a_film_that_is_cut_short_leaves_nothing(film: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(film.read_bytes()[:200])
    with pytest.raises(ImageError, match="expected a film"):
        film_of(broken)
    assert [p.name for p in tmp_path.iterdir()] == ["broken.mp4"]


def test_a_folder_of_films_is_released(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfumato.photo.album.FaceFinder", Stripes)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "Anna.mp4").write_bytes(film.read_bytes())
    (tmp_path / "in" / "no.mkv").write_bytes(b"no film")
    job = Job(protector=Pixelate(112), source=tmp_path / "in", out=tmp_path / "out")
    done = release_photos(job)
    assert (done.films, done.tracks, done.left_out) == (1, 1, 1)
    assert [p.name for p in done.folder.iterdir()] == ["00000000.mp4"]
    assert max(contrast(films.frames_of(done.folder / "00000000.mp4"))) < 12


@pytest.mark.parametrize(("answer", "left"), [(True, 1), (False, 0)])
def test_only_who_is_chosen_is_protected(film: Path, answer: bool, left: int) -> None:
    class All(Chooser):
        fingerprint = "all"

        def __call__(self, picture: object, faces: object) -> list[bool]:
            return [answer for _ in faces]

        def of_track(self, answers: list[bool]) -> bool:
            return all(answers)

    watched = watch(film, Stripes(), FaceConfig())
    assert len(chosen(film, watched, All()).tracks) == left
