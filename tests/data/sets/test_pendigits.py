"""Pen recordings: read as published, drawn true to shape, writers of both files kept apart."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from sfumato.data import load
from sfumato.data.sets.pendigits import Stroke, draw_strokes, pendigits_splits, read_unipen
from sfumato.errors import DataError


def segment(digit: int, writer: int, *strokes: Stroke) -> str:
    lines = [f'.SEGMENT DIGIT    0 ? "{digit}"', f".COMMENT {digit} {writer}  1"]
    for stroke in strokes:
        lines += [".PEN_DOWN", *(f" {x:g}  {y:g}" for x, y in stroke), ".PEN_UP", ".DT 100"]
    return "\n".join(lines) + "\n"


ONE: Stroke = ((10.0, 10.0), (10.0, 100.0))
SEVEN: tuple[Stroke, ...] = (
    ((0.0, 100.0), (60.5, 100.0), (20.0, 0.0)),
    ((20.0, 50.0), (50.0, 50.0)),
)
HEAD = '.INCLUDE dene.doc\n.LEXICON "0" "1"\n.HIERARCHY DIGIT\n\n'


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    (tmp_path / "pendigits").mkdir()
    train = HEAD + segment(1, 1, ONE) + segment(7, 30, *SEVEN)
    (tmp_path / "pendigits" / "pendigits-orig.tra").write_text(train)
    (tmp_path / "pendigits" / "pendigits-orig.tes").write_text(HEAD + segment(1, 1, ONE))
    return tmp_path


def test_writer_one_of_each_file_is_another_person(tiny: Path) -> None:
    images = load("pendigits", data_dir=tiny, cache=tiny / "cache")
    assert images.label("digit").tolist() == [1, 7, 1]
    names = images.classes["writer"]
    assert [names[i] for i in images.label("writer")] == ["train-01", "train-30", "test-01"]
    assert len(names) == 44
    train = load("pendigits", split="train", data_dir=tiny, cache=tiny / "cache")
    assert len(train.classes["writer"]) == 30


def test_strokes_are_read_in_order_with_their_points(tiny: Path) -> None:
    _, seven = read_unipen(tiny / "pendigits" / "pendigits-orig.tra", writers=30)
    assert seven.strokes == SEVEN


@pytest.mark.parametrize("size", [(20, 20), (64, 64), (30, 50)])
def test_a_drawing_is_upright_centred_and_antialiased(size: tuple[int, int]) -> None:
    picture = draw_strokes(SEVEN, size).astype(float)
    assert picture.shape == size
    height, width = size
    # Y points upwards in the recording: the bar of the seven is the widest row, near the top.
    assert (picture > 128).sum(1).argmax() < height / 3
    assert picture[0].max() < 20  # no stroke leaves the picture
    assert picture[:, -1].max() < 20
    ink = np.argwhere(picture > 64)
    middle = (ink.min(0) + ink.max(0)) / 2
    assert np.abs(middle - [(height - 1) / 2, (width - 1) / 2]).max() <= 1
    assert len(np.unique(picture)) > 4


def test_place_and_size_of_the_writing_do_not_matter_and_a_dot_is_drawn() -> None:
    moved = [tuple((3 * x + 70, 3 * y - 20) for x, y in stroke) for stroke in SEVEN]
    difference = draw_strokes(moved, (20, 20)).astype(int) - draw_strokes(SEVEN, (20, 20))
    assert np.abs(difference).max() <= 8
    assert draw_strokes([((5.0, 5.0),)], (20, 20)).max() > 128


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "expected UNIPEN text"),
        (segment(1, 31, ONE), "by writer 31; expected 0 to 9 by writer 1 to 30"),
        (segment(12, 1, ONE), "is a 12 by writer 1"),
        (segment(1, 1), "it has no points"),
        (segment(1, 1, ONE).replace(" 10  10\n", " 10\n"), "two finite numbers"),
        (segment(1, 1, ONE).replace(" 10  10", " nan 1"), "two finite numbers"),
        (segment(1, 1, ONE).replace(" 10  10", " x 1"), "digit 1 is malformed"),
        (".SEGMENT DIGIT\n.PEN_DOWN\n1 2\n", "digit 1 is malformed"),
    ],
)
def test_malformed_recordings_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "file.tra"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_unipen(path, writers=30)


@pytest.mark.parametrize("content", [b"", b"\x1f\x9d", b"\x1f\x9d\x90abc", b"\x1f\x8b" + b"0" * 99])
def test_what_is_no_compress_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.Z"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"copy the file again|expected UNIPEN"):
        read_unipen(path, writers=30)


def test_missing_files_are_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give the data folder"):
        load("pendigits")
    with pytest.raises(DataError, match=r"no test split in .*pendigits-orig\.tes\.Z"):
        load("pendigits", split="test", data_dir=tmp_path)


def eight_points(strokes: tuple[Stroke, ...]) -> np.ndarray:
    """Resample as pendigits.names describes: 8 points along the arc, the longer side 0 to 100."""
    points = np.array([point for stroke in strokes for point in stroke], float)
    along = np.concatenate([[0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
    at = np.linspace(0, along[-1], 8)
    even = np.stack([np.interp(at, along, points[:, k]) for k in (0, 1)], 1)
    even -= even.min(0)
    return (even * 100 / even.max()).ravel()


def test_recordings_align_with_the_published_normalised_digits(real_data: Path) -> None:
    recordings = read_unipen(real_data / "pendigits" / "pendigits-orig.tes.Z", writers=14)
    with gzip.open(real_data / "pendigits" / "pendigits.tes.gz", "rt") as stream:
        rows = np.loadtxt(stream, delimiter=",")
    assert len(recordings) == len(rows) == 3_498
    assert [recording.digit for recording in recordings] == rows[:, 16].tolist()
    points = np.stack([eight_points(recording.strokes) for recording in recordings])
    aligned = np.abs(points - rows[:, :16]).mean()
    shifted = np.abs(points - np.roll(rows[:, :16], 1, axis=0)).mean()
    assert aligned < 11 < 30 < shifted
    assert {recording.writer for recording in recordings} == set(range(1, 15))
    assert pendigits_splits(real_data) == ("all", "train", "test")


@pytest.mark.slow
def test_the_training_file_has_its_published_count(real_data: Path, tmp_path: Path) -> None:
    train = load("pendigits", split="train", data_dir=real_data, cache=tmp_path)
    assert train.images.shape == (7_494, 1, 20, 20)
    assert (train.label("writer").bincount() > 200).all()
