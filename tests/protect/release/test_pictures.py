"""Releases of folders: whole, in order of nobody, and never of two minds."""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from sfumato.data.decoding.decode import decode_image, encode_png
from sfumato.data.imageset import ImageSet
from sfumato.data.lazy import FolderImages, LoadedImages, open_lazily
from sfumato.data.leftout import read_list
from sfumato.data.options import SourceOptions
from sfumato.data.sources import load
from sfumato.errors import DataError, InputError
from sfumato.protect.baselines import Blur, Noise, Pixelate, Unprotected
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.protect.release import parts
from sfumato.protect.release.pictures import write_pictures
from sfumato.types import Fingerprinted, Protector
from tests.protect.standing import STANDING


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


def _lazily(path: Path) -> FolderImages:
    opened = open_lazily(f"folder:{path}", SourceOptions())
    assert isinstance(opened, FolderImages)
    return opened


def _as_pairs(images: ImageSet) -> list[tuple[bytes, str]]:
    moods = [images.classes["mood"][int(v)] for v in images.labels["mood"]]
    pictures = [picture.numpy().tobytes() for picture in images.images]
    return sorted(zip(pictures, moods, strict=True))


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def one_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every release of a test draw the same order and the same noise."""
    monkeypatch.setattr(parts, "fresh_secret", lambda: bytes(range(32)))


@pytest.mark.parametrize("batch_size", [7, 64, 1000])
def test_a_release_is_the_same_pictures_with_the_kept_label(
    tmp_path: Path, blobs: ImageSet, batch_size: int
) -> None:
    source = _lazily(_folder(tmp_path / "in", blobs))
    out = tmp_path / "out"
    released = write_pictures(Unprotected(), source, out, labels=["mood"], batch_size=batch_size)
    assert (released.count, released.left_out) == (len(blobs), 0)
    read = load(f"folder:{out}")
    assert set(read.labels) == {"mood"}
    assert _as_pairs(read) == _as_pairs(blobs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_names_and_order_tell_nothing(tmp_path: Path, blobs: ImageSet) -> None:
    write_pictures(Unprotected(), LoadedImages(blobs), tmp_path / "out")
    rows = list(csv.reader((tmp_path / "out" / "metadata.csv").read_text().splitlines()))
    assert rows[0] == ["file_name"]
    assert [row[0] for row in rows[1:]] == [f"{i:08d}.png" for i in range(200)]
    read = load(f"folder:{tmp_path / 'out'}")
    assert not torch.equal(read.images, blobs.images)


def test_the_order_cannot_be_drawn_again(tmp_path: Path, blobs: ImageSet) -> None:
    """Whoever knows the collection and this program does not know which picture is which."""
    orders, some = [], LoadedImages(blobs.subset(range(60)))
    for out in ("first", "second", "third"):
        torch.manual_seed(0)
        write_pictures(Unprotected(), some, tmp_path / out)
        read = load(f"folder:{tmp_path / out}").images
        orders.append(tuple(picture.numpy().tobytes() for picture in read))
    assert len(set(orders)) == 3
    assert len({frozenset(order) for order in orders}) == 1
    # Of all places a random order keeps one on average.
    kept = [a == b for a, b in zip(orders[0], orders[1], strict=True)]
    assert sum(kept) < 12


def test_a_place_that_cannot_be_written_is_an_input_error(tmp_path: Path, blobs: ImageSet) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"cannot write .*; choose another place"):
        write_pictures(Unprotected(), LoadedImages(blobs), tmp_path / "file" / "out")


def test_noise_cannot_be_drawn_again(tmp_path: Path, blobs: ImageSet) -> None:
    grey = torch.full_like(blobs.images[:9], 128) + torch.arange(9)[:, None, None, None]
    grey[8] = grey[0]  # a picture twice
    still = ImageSet(name="still", images=grey.to(torch.uint8), labels={}, classes={})
    for out in ("first", "second"):
        torch.manual_seed(0)
        write_pictures(Noise(0.2), LoadedImages(still), tmp_path / out)
    first, second = (load(f"folder:{tmp_path / out}").images for out in ("first", "second"))
    assert float((first == second).float().mean()) < 0.2
    assert len({picture.numpy().tobytes() for picture in first}) == 8


def _prototypes() -> PrototypeAnonymizer:
    made = PrototypeAnonymizer(
        channels=3, height=12, width=10, hides="person", prototypes=4, standing=STANDING
    )
    made.pictures.copy_(torch.rand(4, 3, 12, 10))
    return made.eval()


PROTECTORS: dict[str, Callable[[], Protector]] = {
    "none": Unprotected,
    "blur": lambda: Blur(1.5),
    "pixelate": lambda: Pixelate(3),
    "noise": lambda: Noise(0.3),
}
SIZES = ((12, 10), (9, 16), (1, 1), (12, 10), (30, 4))


def _mixed(folder: Path, *, seed: int = 0, count: int = 23) -> Path:
    """Pictures of several sizes, grey and coloured, with files that are none between them."""
    generator = torch.Generator().manual_seed(seed)
    folder.mkdir()
    for i in range(count):
        height, width = SIZES[i % len(SIZES)]
        shape = (1 if i % 3 else 3, height, width)
        pixels = torch.randint(0, 256, shape, generator=generator).to(torch.uint8)
        (folder / f"{i:02d}.png").write_bytes(encode_png(pixels) if i % 7 != 4 else b"no picture")
    return folder


@pytest.mark.parametrize("kind", PROTECTORS)
@pytest.mark.usefixtures("one_secret")
def test_the_outcome_does_not_depend_on_the_batch(tmp_path: Path, kind: str) -> None:
    source = _mixed(tmp_path / "in")
    torch.manual_seed(1)
    protector = PROTECTORS[kind]()
    options = SourceOptions()
    if isinstance(protector, PrototypeAnonymizer):
        options = SourceOptions(size=protector.shape[1:], channels=3)
    images = open_lazily(f"folder:{source}", options)
    first: dict[str, bytes] = {}
    listed = b""
    for batch_size in (1, 2, 5, 22, 100):
        out = tmp_path / f"out{batch_size}"
        torch.manual_seed(batch_size)
        write_pictures(protector, images, out, batch_size=batch_size)
        first = first or _content(out)
        listed = listed or (tmp_path / "out1.left-out.csv").read_bytes()
        assert _content(out) == first
        assert (tmp_path / f"{out.name}.left-out.csv").read_bytes() == listed
    assert len(first) == 20 + 1


def test_each_picture_keeps_its_size_and_colour(tmp_path: Path) -> None:
    source = _mixed(tmp_path / "in")
    write_pictures(Unprotected(), _lazily(source), tmp_path / "out", batch_size=4)

    def shapes(folder: Path) -> list[tuple[int, ...]]:
        contents = [path.read_bytes() for path in folder.glob("*.png")]
        usable = [content for content in contents if content != b"no picture"]
        return sorted(tuple(decode_image(content).shape) for content in usable)

    assert shapes(tmp_path / "out") == shapes(source)


class _Draws(Protector):
    """Releases one random grey; all pictures of a person share it, where people are named."""

    name = "draws"
    drawn_per = "person"

    def release(self, images: Tensor) -> Tensor:
        return torch.rand(len(images), 1, 1, 1).expand_as(images)


def test_pictures_of_a_person_share_one_draw(tmp_path: Path, blobs: ImageSet) -> None:
    """Otherwise the mean over somebody's pictures tells what the draws hide."""
    named = _lazily(_folder(tmp_path / "in", blobs))
    write_pictures(_Draws(), named, tmp_path / "out", labels=["person"])
    out = load(f"folder:{tmp_path / 'out'}")
    greys = out.images[:, 0, 0, 0]
    for person in range(len(out.classes["person"])):
        assert len(greys[out.label("person") == person].unique()) == 1
    assert len(greys.unique()) > 1


def test_without_names_each_picture_has_its_own(tmp_path: Path, blobs: ImageSet) -> None:
    folder = _folder(tmp_path / "in", blobs)
    (folder / "metadata.csv").unlink()
    write_pictures(_Draws(), _lazily(folder), tmp_path / "out")
    assert len(load(f"folder:{tmp_path / 'out'}").images[:, 0, 0, 0].unique()) > 20


class _Stopping(Protector, Fingerprinted):
    name = "stopping"

    def __init__(self, protector: Protector, after: int) -> None:
        self.protector, self.left = protector, after
        self.fingerprint = protector.name

    def release(self, images: Tensor) -> Tensor:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return self.protector.release(images)


@pytest.mark.parametrize("after", [1, 7, 19])
@pytest.mark.parametrize("batches", [(3, 3), (2, 5), (5, 1)])
@pytest.mark.usefixtures("one_secret")
def test_a_resumed_release_equals_an_uninterrupted_one(
    tmp_path: Path, after: int, batches: tuple[int, int]
) -> None:
    images = _lazily(_mixed(tmp_path / "in"))
    whole, out = tmp_path / "whole", tmp_path / "out"
    write_pictures(Noise(0.2), images, whole, batch_size=4)
    first, second = batches
    with pytest.raises(KeyboardInterrupt):
        write_pictures(_Stopping(Noise(0.2), after), images, out, batch_size=first)
    assert not out.exists()
    part = tmp_path / ".out.part"
    if os.name == "posix":
        assert stat.S_IMODE((part / ".left-out.csv").stat().st_mode) == 0o600
    with (part / "metadata.csv").open("a") as stream:
        stream.write("torn,ro")  # as a crash between table and state would leave it
    (part / f"{len(list(part.glob('*.png'))):08d}.png").write_bytes(b"torn")
    stopping = _Stopping(Noise(0.2), 20)
    write_pictures(stopping, images, out, batch_size=second)
    assert stopping.left >= after - first, "only what was missing was computed"
    assert _content(out) == _content(whole)
    lists = [tmp_path / f"{name}.left-out.csv" for name in ("out", "whole")]
    assert set(read_list(lists[0], 9)) == set(read_list(lists[1], 9))
    assert not part.exists()


def _interrupted(tmp_path: Path, **options: object) -> tuple[Path, Path]:
    source, out = _mixed(tmp_path / "in"), tmp_path / "out"
    stopping = _Stopping(Blur(1.0), 9)
    with pytest.raises(KeyboardInterrupt):
        write_pictures(stopping, _lazily(source), out, batch_size=4, **options)  # type: ignore[arg-type]
    return source, out


def _added(source: Path) -> None:
    (source / "new.png").write_bytes((source / "00.png").read_bytes())


def _removed(source: Path) -> None:
    (source / "00.png").unlink()


def _renamed(source: Path) -> None:
    (source / "00.png").rename(source / "zz.png")


def _replaced(source: Path) -> None:
    old = (source / "00.png").stat()
    Image.new("L", (9, 9), 3).save(source / "00.png")
    os.utime(source / "00.png", ns=(old.st_atime_ns, old.st_mtime_ns + 1))


def _labelled(source: Path) -> None:
    names = sorted(path.name for path in source.iterdir())
    (source / "metadata.csv").write_text("\n".join(["file_name,x", *(f"{n},1" for n in names)]))


@pytest.mark.parametrize("change", [_added, _removed, _renamed, _replaced, _labelled])
def test_a_folder_that_changed_is_not_mixed_in(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    source, out = _interrupted(tmp_path)
    change(source)
    counts = {_added: r" \(23 files then, 24 now\)", _removed: r" \(23 files then, 22 now\)"}
    said = rf"something else: the pictures, .* changed{counts.get(change, '')}\. Delete that folder"
    with pytest.raises(InputError, match=said):
        write_pictures(_Stopping(Blur(1.0), 99), _lazily(source), out, batch_size=4)
    assert not out.exists()


def test_another_protector_is_not_mixed_in(tmp_path: Path) -> None:
    source, out = _interrupted(tmp_path)
    with pytest.raises(InputError, match=r"something else: the protector changed\. Delete"):
        write_pictures(_Stopping(Blur(2.0), 99), _lazily(source), out)
    images = open_lazily(f"folder:{source}", SourceOptions(size=8))
    with pytest.raises(InputError, match=r"the protector and the pictures, .* changed"):
        write_pictures(_Stopping(Blur(2.0), 99), images, out)


def test_a_protector_fitted_anew_at_the_same_place_is_another_one(tmp_path: Path) -> None:
    source, out = _mixed(tmp_path / "in"), tmp_path / "out"
    images = open_lazily(f"folder:{source}", SourceOptions(size=(12, 10), channels=3))

    def fitted(seed: int) -> PrototypeAnonymizer:
        torch.manual_seed(seed)
        _prototypes().save_pretrained(tmp_path / "made")
        made = PrototypeAnonymizer.from_pretrained(str(tmp_path / "made"))
        assert isinstance(made, PrototypeAnonymizer)
        return made

    first = fitted(0)
    assert first.fingerprint == fitted(0).fingerprint
    stopping = _Stopping(first, 9)
    stopping.fingerprint = first.fingerprint
    with pytest.raises(KeyboardInterrupt):
        write_pictures(stopping, images, out, batch_size=4)
    stopping.fingerprint = fitted(1).fingerprint
    with pytest.raises(InputError, match="the protector changed"):
        write_pictures(stopping, images, out)


def test_other_labels_are_not_mixed_in(tmp_path: Path, blobs: ImageSet) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_pictures(_Stopping(Blur(1.0), 9), LoadedImages(blobs), tmp_path / "out", batch_size=4)
    with pytest.raises(InputError, match="which labels are kept changed"):
        write_pictures(
            _Stopping(Blur(1.0), 9), LoadedImages(blobs), tmp_path / "out", labels=["mood"]
        )


def test_a_folder_without_a_state_is_not_taken_over(tmp_path: Path, blobs: ImageSet) -> None:
    part = tmp_path / ".out.part"
    part.mkdir()
    (part / "00000300.png").write_bytes(b"of another release")
    with pytest.raises(InputError, match="holds files of something else; delete it"):
        write_pictures(Unprotected(), LoadedImages(blobs), tmp_path / "out")


def test_nothing_of_the_work_is_left_in_the_release(tmp_path: Path) -> None:
    source, out = _interrupted(tmp_path)
    (tmp_path / ".out.part" / "..progress.json.abc.part").write_text("a state half written")
    write_pictures(_Stopping(Blur(1.0), 99), _lazily(source), out)
    assert [path.name for path in out.iterdir() if path.suffix != ".png"] == ["metadata.csv"]


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_unusable_files_are_listed_beside_the_release(tmp_path: Path, batch_size: int) -> None:
    source = _mixed(tmp_path / "in")
    (source / "Thumbs.db").write_bytes(b"\0" * 40)
    (source / "outside").symlink_to(tmp_path)
    out = tmp_path / "out"
    released = write_pictures(Unprotected(), _lazily(source), out, batch_size=batch_size)
    assert (released.count, released.left_out) == (20, 5)
    path = tmp_path / "out.left-out.csv"
    listed = dict(read_list(path, 99))
    assert set(listed) == {"04.png", "11.png", "18.png", "Thumbs.db", "outside"}
    assert listed["outside"] == "a link that leads out of the folder"
    assert listed["Thumbs.db"].startswith("expected a picture")
    assert path.stat().st_mode & 0o777 == 0o600
    assert {p.suffix for p in out.iterdir()} == {".png", ".csv"}
    assert b"Thumbs" not in (out / "metadata.csv").read_bytes()


def test_a_list_of_an_earlier_release_does_not_stay(tmp_path: Path, blobs: ImageSet) -> None:
    (tmp_path / "out.left-out.csv").write_text("file_name,reason\nold.png,gone\n")
    write_pictures(Unprotected(), LoadedImages(blobs), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_where_nothing_is_usable_the_reasons_are_said(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for i in range(5):
        (source / f"{i}.png").write_bytes(b"no picture")
    with pytest.raises(
        DataError, match=r"none of its 5 files is usable: \d\.png: exp.*; and 2 more"
    ):
        write_pictures(Unprotected(), _lazily(source), tmp_path / "out", batch_size=2)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("count", [1, 7, 20])
def test_a_count_is_of_usable_pictures_of_any_size(tmp_path: Path, count: int) -> None:
    source = _mixed(tmp_path / "in")
    images = open_lazily(f"folder:{source}", SourceOptions(count=count, seed=3))
    released = write_pictures(Unprotected(), images, tmp_path / "out")
    assert released.count == count
    with pytest.raises(DataError, match=r"at least 21 pictures .* 20 usable; skipped 3"):
        open_lazily(f"folder:{source}", SourceOptions(count=21))


def test_a_release_in_its_own_pictures_is_refused(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    images = open_lazily(f"folder:{tmp_path}", SourceOptions())
    with pytest.raises(InputError, match="would be read with it the next time"):
        write_pictures(Unprotected(), images, tmp_path / "out")


def test_refusals(tmp_path: Path, blobs: ImageSet) -> None:
    source = LoadedImages(blobs)
    with pytest.raises(DataError, match="has no label 'age' to keep; it has: mood, person"):
        write_pictures(Unprotected(), source, tmp_path / "out", labels=["age"])
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="exists already"):
        write_pictures(Unprotected(), source, tmp_path / "there")

    class Features(Protector):
        name = "features"

        def release(self, images: Tensor) -> Tensor:
            return images.flatten(1)

    with pytest.raises(DataError, match=r"takes floats in \[0, 1\] of shape \(1 or 3, height, wid"):
        write_pictures(Features(), source, tmp_path / "out")
    with pytest.raises(DataError, match="no published split"):
        open_lazily(f"folder:{tmp_path}", SourceOptions(split="test"))
