"""Public pictures are read as every other picture is, and what has no feature is named."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from sfumato.data.lazy import open_lazily
from sfumato.data.options import SourceOptions
from sfumato.errors import DataError
from sfumato.features.backbone import open_backbone
from sfumato.features.picture import extracted
from sfumato.filter.calibrate.config import CalibrationConfig
from sfumato.filter.calibrate.public import read_public

PEOPLE = 250


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One picture of each person; the file of one is broken."""
    for person in range(PEOPLE):
        own = tmp_path / f"p{person:03}"
        own.mkdir()
        stream = io.BytesIO()
        Image.new("L", (3, 2), person).save(stream, "PNG")
        (own / "a.png").write_bytes(stream.getvalue())
    (tmp_path / "p007" / "a.png").write_bytes(b"broken")
    return tmp_path


def test_rows_keep_their_person_and_a_broken_file_is_named(folder: Path) -> None:
    backbone = open_backbone("raw:1x2x2")
    images = open_lazily(f"folder:{folder}", SourceOptions())
    found = read_public(backbone, images, None, CalibrationConfig(), enroll=False)
    assert [file for file, _ in found.left_out] == ["p007/a.png"]
    assert found.who.tolist() == [p for p in range(PEOPLE) if p != 7]
    assert (found.features[:, 0] * 255).round().tolist() == found.who.tolist()
    again = extracted(backbone, images, [249, 7, 0])
    assert again.features.equal(found.features[[-1, 0]])
    assert [row.position for row in again.rows] == [249, 0]


def test_without_any_picture_the_files_are_named(folder: Path) -> None:
    for file in folder.rglob("*.png"):
        file.write_bytes(b"broken")
    images = open_lazily(f"folder:{folder}", SourceOptions())
    with pytest.raises(DataError, match=r"expected a usable picture, got none: p000/a\.png: "):
        read_public(open_backbone("raw:1x2x2"), images, None, CalibrationConfig(), enroll=False)
