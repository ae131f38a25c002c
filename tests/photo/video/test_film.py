from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sfumato.errors import ImageError
from sfumato.photo.video.film import film_of, frames_of
from sfumato.photo.video.writing import rewrite
from tests.photo.video import films


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films.write_film(tmp_path_factory.mktemp("film") / "a.mp4")


def test_frames_have_the_times_of_the_film(film: Path) -> None:
    frames = [(frame.number, frame.ms, frame.size) for frame in frames_of(film)]
    assert frames == [(i, 40 * time, (128, 96)) for i, time in enumerate(films.TIMES)]


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_times_count_from_the_start_of_the_film(tmp_path: Path, ending: str) -> None:
    late = films.write_film(tmp_path / f"late.{ending}", start=250)
    assert next(frame.ms for frame in frames_of(late)) < 100


@pytest.mark.parametrize("degrees", [90, 180, 270, None])
def test_a_rotated_film_comes_upright(tmp_path: Path, degrees: int | None) -> None:
    source = films.rotated(films.write_film(tmp_path / "a.mp4"), degrees)
    size = (96, 128) if degrees in (90, 270) else (128, 96)
    frame = next(iter(frames_of(source)))
    assert frame.size == size
    upright = frame.pixels().permute(1, 2, 0).numpy()
    assert upright.shape == (size[1], size[0], 3)
    wanted = np.rot90(films.drawn(0), -(degrees or 0) // 90)
    assert np.abs(upright.astype(int) - wanted).mean() < 4
    rewrite(source, tmp_path / "b.mp4", lambda *_: None)
    written = films.frames_of(tmp_path / "b.mp4")[0]
    assert np.abs(written.astype(int) - wanted).mean() < 6
    assert next(iter(frames_of(tmp_path / "b.mp4"))).size == size


def test_an_avi_keeps_its_order_and_its_sound(tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "a.avi", sound="pcm_s16le")
    times = films.times_of(source)
    assert times != sorted(times)  # it has none of its own, and frames were reordered
    seen = [frame.ms for frame in frames_of(source)]
    assert seen == sorted(set(seen))
    rewrite(source, tmp_path / "b.avi", lambda *_: None)
    before, after = films.frames_of(source), films.frames_of(tmp_path / "b.avi")
    for one, other in zip(before, after, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 4
    times = films.times_of(tmp_path / "b.avi")
    assert times == sorted(set(times))
    assert films.sound_of(tmp_path / "b.avi")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.mp4", b"", "expected a film: Invalid data found when processing input$"),
        ("a.mkv", b"no film", "expected a film: "),
    ],
)
def test_what_is_no_film_is_refused_in_words(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=message):
        film_of(tmp_path / name)


def test_sound_alone_is_no_film(tmp_path: Path) -> None:
    films.write_sound(tmp_path / "a.mp4")
    with pytest.raises(ImageError, match="got a file without pictures"):
        film_of(tmp_path / "a.mp4")


def test_a_film_whose_end_is_missing_is_refused(tmp_path: Path) -> None:
    source = films.write_film(tmp_path / "a.mp4", movflags="faststart")
    content = source.read_bytes()
    source.write_bytes(content[: content.index(b"mdat") + 700])
    assert film_of(source).frames == 12  # its head is whole
    with pytest.raises(ImageError, match="expected a whole film"):
        list(frames_of(source))
