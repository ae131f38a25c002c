from __future__ import annotations

from pathlib import Path

import pytest

from sfumato.errors import DataError
from sfumato.photo.boxes import COLUMNS, Box, Boxes, read_boxes, write_boxes
from sfumato.photo.find.box import Face
from sfumato.photo.track import Track

VECTOR = Path(__file__).parent / "vectors/boxes.csv"
HEAD = "file_name,left,top,right,bottom,score,protect\n"
FILM = ",".join(COLUMNS) + "\n"


def face(left: float, top: float, right: float, bottom: float, score: float = 1) -> Face:
    return Face(left=left, top=top, right=right, bottom=bottom, score=score)


BOXES = Boxes(
    photos={
        'a, "b".jpg': [
            Box(face=face(-1.5, 2, 30, 40.2, 0.875), protect=True),
            Box(face=face(50, 2, 60, 14, 0.3), protect=False),
        ],
        "nobody.png": [],
    },
    films={
        "film.mp4": [
            Track(
                name="1",
                points=(
                    (0, face(10, 20, 30.5, 40, 0.912)),
                    (1480, face(14, 20, 34.5, 40, 0.912)),
                ),
                protect=True,
            ),
            Track(name="2", points=((61040, face(100, 20, 120, 40, 0.412)),), protect=False),
            Track(name="by hand", points=((7500, face(1, 2, 3, 4)),), protect=True),
        ],
        "x/empty.webm": [],
    },
)


def test_the_frozen_table_is_read_and_written_the_same(tmp_path: Path) -> None:
    assert read_boxes(VECTOR) == BOXES
    write_boxes(tmp_path / "boxes.csv", BOXES)
    assert (tmp_path / "boxes.csv").read_bytes() == VECTOR.read_bytes()
    assert (tmp_path / "boxes.csv").stat().st_mode & 0o077 == 0


def test_a_row_by_hand_needs_no_score_and_no_columns_of_films(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text("file_name,left,top,right,bottom\na.jpg,1,2,3,4\n,,,,\n")
    assert read_boxes(path) == Boxes(photos={"a.jpg": [Box(face=face(1, 2, 3, 4), protect=True)]})


def test_rows_of_a_track_may_stand_anywhere_and_have_times_of_a_player(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text(FILM + "a.mp4,5,2,9,4,,,x,1:01.5\nb.png,,,,,,,,\na.mp4,1,2,3,4,,,x,0:00:01\n")
    assert read_boxes(path).films == {
        "a.mp4": [
            Track(
                name="x", points=((1000, face(1, 2, 3, 4)), (61500, face(5, 2, 9, 4))), protect=True
            )
        ]
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,left\n", "expected a column 'file_name' in the first line, and commas"),
        ("file_name;left;top;right;bottom\n", "expected a column 'file_name'"),
        ("file_name,left,top,right,bottom,left\n", "a column stands twice"),
        (HEAD + "a.jpg,1,2,three,4,,\n", ":2: expected numbers"),
        (HEAD + "a.jpg,5,2,3,4,,\n", "left below right"),
        (HEAD + "a.jpg,nan,2,3,4,,\n", "left below right"),
        (HEAD + "a.jpg,1,2,3,,,\n", "expected numbers"),
        (HEAD + "a.jpg,1,2,3,4,,perhaps\n", "yes or no, got 'perhaps'"),
        (HEAD + "a.jpg,1,5,2,5,3,5,4,5,1,yes\n", ":2: expected 7 cells, got more"),
        (HEAD + ",1,2,3,4,,\n", ":2: expected a `file_name`, got none"),
        (HEAD + 'a.jpg,1,2,3,4,,yes\n"a', ", after line 2: .*expected CSV"),
        (HEAD + "a.mp4,1,2,3,4,,yes\n", ":2: a box of a film needs a `track`"),
        (FILM + "a.mp4,1,2,3,4,,yes,1,\n", "a `time` in seconds; got '1' and ''"),
        (FILM + "a.mp4,1,2,3,4,,yes,,1\n", "got '' and '1'"),
        (FILM + f"a.mp4,1,2,3,4,,yes,{'n' * 41},1\n", "at most 40 characters, got 41"),
        (FILM + "a.mp4,1,2,3,4,,yes,1,-1\n", ":2: `time`: expected seconds .*got '-1'"),
        (FILM + "a.mp4,1,2,3,4,,yes,1,inf\n", "`time`: expected seconds"),
        (FILM + "a.mp4,1,2,3,4,,yes,1,9999999\n", "expected at most 1,000,000 seconds"),
        (FILM + "a.jpg,1,2,3,4,,yes,1,2\n", ":2: a photograph has no `track` and no `time`"),
        (
            FILM + "a.mp4,1,2,3,4,,yes,1,0\na.mp4,1,2,3,4,,no,1,2\n",
            ":3: `protect` is no here and yes in .*:2: give all rows of a track the same",
        ),
        (
            FILM + "a.mp4,1,2,3,4,,yes,1,1.5\na.mp4,1,2,3,4,,yes,1,0:01.5\n",
            ":3: the track has a row for 1.500 already, in .*:2",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_boxes(path)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_boxes(tmp_path / "none.csv")
