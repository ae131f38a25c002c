from __future__ import annotations

from pathlib import Path

import pytest

from sfumato.errors import DataError
from sfumato.photo.boxes import Box, read_boxes, write_boxes
from sfumato.photo.find.box import Face

HEAD = "file_name,left,top,right,bottom,score,protect\n"


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    face = Face(left=-1.5, top=2, right=30, bottom=40.25, score=0.875)
    boxes = {
        'a, "b".jpg': [Box(face=face, protect=True), Box(face=face, protect=False)],
        "x/nobody.png": [],
    }
    path = tmp_path / "boxes.csv"
    write_boxes(path, boxes)
    read = read_boxes(path)
    assert set(read) == set(boxes)
    assert read["x/nobody.png"] == []
    assert [box.protect for box in read['a, "b".jpg']] == [True, False]
    assert read['a, "b".jpg'][0].face.bottom == pytest.approx(40.25, abs=0.05)
    assert path.stat().st_mode & 0o077 == 0


def test_a_row_by_hand_needs_no_score(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text("file_name,left,top,right,bottom\na.jpg,1,2,3,4\n")
    assert read_boxes(path) == {
        "a.jpg": [Box(face=Face(left=1, top=2, right=3, bottom=4), protect=True)]
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,left\n", "expected a column 'file_name'"),
        (HEAD + "a.jpg,1,2,three,4,,\n", ":2: expected numbers"),
        (HEAD + "a.jpg,5,2,3,4,,\n", "left below right"),
        (HEAD + "a.jpg,nan,2,3,4,,\n", "left below right"),
        (HEAD + "a.jpg,1,2,3,,,\n", "expected numbers"),
        (HEAD + "a.jpg,1,2,3,4,,perhaps\n", "yes or no, got 'perhaps'"),
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
