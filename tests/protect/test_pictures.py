from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sfumato.data.decode import encode_png
from sfumato.data.imageset import ImageSet
from sfumato.data.lazy import LoadedImages, open_lazily
from sfumato.data.options import SourceOptions
from sfumato.data.sources import load
from sfumato.errors import DataError, InputError
from sfumato.protect.baselines import Noise, Unprotected
from sfumato.protect.pictures import write_pictures


def _folder(path: Path, images: ImageSet) -> Path:
    path.mkdir()
    lines = ["file_name,person,mood"]
    for i, picture in enumerate(images.images):
        (path / f"{i}.png").write_bytes(encode_png(picture))
        person = images.classes["person"][int(images.labels["person"][i])]
        mood = images.classes["mood"][int(images.labels["mood"][i])]
        lines.append(f"{i}.png,{person},{mood}")
    (path / "metadata.csv").write_text("\n".join(lines))
    return path


def _as_pairs(images: ImageSet) -> list[tuple[bytes, str]]:
    moods = [images.classes["mood"][int(v)] for v in images.labels["mood"]]
    pictures = [picture.numpy().tobytes() for picture in images.images]
    return sorted(zip(pictures, moods, strict=True))


@pytest.mark.parametrize("batch_size", [7, 64, 1000])
def test_a_release_is_the_same_pictures_with_the_kept_label(
    tmp_path: Path, blobs: ImageSet, batch_size: int
) -> None:
    source = open_lazily(f"folder:{_folder(tmp_path / 'in', blobs)}", SourceOptions())
    out = tmp_path / "out"
    released = write_pictures(Unprotected(), source, out, labels=["mood"], batch_size=batch_size)
    assert released.count == len(blobs)
    read = load(f"folder:{out}")
    assert set(read.labels) == {"mood"}
    assert _as_pairs(read) == _as_pairs(blobs)


def test_names_and_order_tell_nothing(tmp_path: Path, blobs: ImageSet) -> None:
    write_pictures(Unprotected(), LoadedImages(blobs), tmp_path / "out")
    rows = list(csv.reader((tmp_path / "out" / "metadata.csv").read_text().splitlines()))
    assert rows[0] == ["file_name"]
    assert [row[0] for row in rows[1:]] == [f"{i:08d}.png" for i in range(200)]
    read = load(f"folder:{tmp_path / 'out'}")
    assert not torch.equal(read.images, blobs.images)


def test_noise_cannot_be_drawn_again(tmp_path: Path, blobs: ImageSet) -> None:
    still = ImageSet(
        name="still", images=torch.full_like(blobs.images[:9], 128), labels={}, classes={}
    )
    for out in ("first", "second"):
        torch.manual_seed(0)
        write_pictures(Noise(0.2), LoadedImages(still), tmp_path / out)
    first, second = (load(f"folder:{tmp_path / out}").images for out in ("first", "second"))
    assert float((first == second).float().mean()) < 0.2


class _Stopping:
    name = "stopping"

    def __init__(self, after: int) -> None:
        self.left = after

    def release(self, images: Tensor) -> Tensor:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return images


@pytest.mark.parametrize("after", [1, 3])
def test_an_interrupted_release_goes_on(tmp_path: Path, blobs: ImageSet, after: int) -> None:
    source, out = LoadedImages(blobs), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        write_pictures(_Stopping(after), source, out, labels=["mood"], batch_size=40, made_of="x")
    assert not out.exists()
    with (tmp_path / ".out.part" / "metadata.csv").open("a") as stream:
        stream.write("torn,ro")  # as a crash between table and state would leave it
    second = _Stopping(5 - after)
    write_pictures(second, source, out, labels=["mood"], batch_size=40, made_of="x")
    assert second.left == 0, "only what was missing was computed"
    assert _as_pairs(load(f"folder:{out}")) == _as_pairs(blobs)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_a_release_of_something_else_is_not_continued(tmp_path: Path, blobs: ImageSet) -> None:
    source, out = LoadedImages(blobs), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        write_pictures(_Stopping(1), source, out, batch_size=40, made_of="x")
    with pytest.raises(InputError, match="interrupted release of something else"):
        write_pictures(Unprotected(), source, out, batch_size=40, made_of="y")


def test_unusable_files_are_counted(tmp_path: Path, blobs: ImageSet) -> None:
    folder = _folder(tmp_path / "in", blobs.subset(range(10)))
    (folder / "3.png").write_bytes(b"not a picture")
    source = open_lazily(f"folder:{folder}", SourceOptions())
    released = write_pictures(Unprotected(), source, tmp_path / "out", batch_size=4)
    assert (released.count, released.skipped) == (9, 1)


def test_refusals(tmp_path: Path, blobs: ImageSet) -> None:
    source = LoadedImages(blobs)
    with pytest.raises(DataError, match="has no label 'age' to keep; it has: mood, person"):
        write_pictures(Unprotected(), source, tmp_path / "out", labels=["age"])
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="exists already"):
        write_pictures(Unprotected(), source, tmp_path / "there")

    class Features:
        name = "features"

        def release(self, images: Tensor) -> Tensor:
            return images.flatten(1)

    with pytest.raises(DataError, match="is no picture"):
        write_pictures(Features(), source, tmp_path / "out")
