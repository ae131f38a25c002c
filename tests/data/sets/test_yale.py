"""The Yale faces: GIFs without an extension, named by person and condition."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from sfumato.data import load
from sfumato.data.sets.yale import CONDITIONS
from sfumato.errors import DataError


def gif(grey: int, frames: int = 1) -> bytes:
    pictures = [Image.new("L", (320, 243), grey + 50 * i) for i in range(frames)]
    buffer = BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:])
    return buffer.getvalue()


def archive(folder: Path, files: dict[str, bytes]) -> None:
    (folder / "yale").mkdir()
    with zipfile.ZipFile(folder / "yale" / "yalefaces.zip", "w") as target:
        for name, content in files.items():
            target.writestr(f"yalefaces/{name}", content)


def test_names_are_labels_and_other_files_are_left_out(tmp_path: Path) -> None:
    archive(
        tmp_path,
        {
            "subject02.sad": gif(9),
            "subject01.wink": gif(70),
            "Readme.txt": b"",
            "subject99.sad": b"",
        },
    )
    faces = load("yale", data_dir=tmp_path, cache=tmp_path)
    assert faces.images.shape == (2, 1, 243, 320)
    assert faces.images[:, 0, 0, 0].tolist() == [70, 9]
    assert faces.label("identity").tolist() == [0, 1]
    assert [CONDITIONS[i] for i in faces.label("condition")] == ["wink", "sad"]


def test_bad_archives_are_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give the data folder"):
        load("yale")
    with pytest.raises(DataError, match="cannot read"):
        load("yale", data_dir=tmp_path)
    archive(tmp_path, {"subject01.sad": gif(9, frames=3)})
    with pytest.raises(DataError, match=r"subject01\.sad: expected a still picture"):
        load("yale", data_dir=tmp_path, cache=tmp_path)


def test_the_published_archive_has_its_published_count(real_data: Path, tmp_path: Path) -> None:
    faces = load("yale", data_dir=real_data, cache=tmp_path, size=(61, 80))
    assert len(faces) == 164
    counts = dict(zip(CONDITIONS, faces.label("condition").bincount().tolist(), strict=True))
    assert counts.pop("centerlight") == 14
    assert set(counts.values()) == {15}
