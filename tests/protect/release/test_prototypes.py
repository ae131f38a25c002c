"""k and p hold for the release, counted on the released files."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sfumato.data.decoding.decode import encode_png
from sfumato.data.imageset import ImageSet
from sfumato.data.lazy import LoadedImages, open_lazily
from sfumato.data.options import SourceOptions
from sfumato.errors import DataError
from sfumato.protect.prototypes.config import PrototypesConfig
from sfumato.protect.prototypes.fit import fit_prototypes
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.protect.release.pictures import Released, write_pictures
from tests.protect.prototypes.test_pictures import photos_of


def _fit(photos: ImageSet, seed: int = 0) -> PrototypeAnonymizer:
    config = PrototypesConfig(
        prototypes=8, epochs=1, batch_size=64, features=2, device="cpu", seed=seed
    )
    return fit_prototypes(photos, private="person", config=config).protector


def _with_places(photos: ImageSet, seed: int) -> ImageSet:
    generator = torch.Generator().manual_seed(seed)
    place = torch.randint(2, (len(photos),), generator=generator)
    return ImageSet(
        name="photos",
        images=photos.images,
        labels={**photos.labels, "place": place},
        classes={**photos.classes, "place": ("indoors", "outdoors")},
    )


def _records(released: Released) -> Counter[tuple[bytes, str]]:
    """Count equal released files, each with its kept label."""
    with (released.folder / "metadata.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    return Counter(
        (Image.open(released.folder / row["file_name"]).tobytes(), row.get("place", ""))
        for row in rows
    )


@settings(
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.integers(0, 1000), st.integers(12, 150), st.integers(2, 6), st.integers(1, 80), st.booleans()
)
def test_a_release_is_refused_or_every_released_file_has_nine_equals(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    count: int,
    people: int,
    batch: int,
    keep: bool,
) -> None:
    photos = _with_places(photos_of(count, people, seed=seed), seed)
    out = tmp_path_factory.mktemp("release") / "out"
    try:
        made = _fit(photos, seed)
        released = write_pictures(
            made, LoadedImages(photos), out, labels=("place",) * keep, batch_size=batch
        )
    except DataError:
        assert not out.exists()
        return
    records = _records(released)
    assert sum(records.values()) == count
    assert min(records.values()) >= 10
    standing = released.standing
    assert standing is not None
    assert standing["fewest_pictures"] == min(records.values())
    assert standing["released"] == len(records)
    originals = {bytes(picture.permute(1, 2, 0).numpy().tobytes()) for picture in photos.images}
    assert not originals & {pixels for pixels, _ in records}


def _people_behind(made: PrototypeAnonymizer, photos: ImageSet) -> list[set[int]]:
    """Return who is behind each record of a release of the set, by binding it as an audit does."""
    whole = made.for_collection(photos.floats(), photos.labels, photos.classes, kept=("place",))
    shown = whole.release(photos.floats())
    behind = defaultdict(set)
    for i, picture in enumerate(shown):
        record = (picture.numpy().tobytes(), int(photos.labels["place"][i]))
        behind[record].add(int(photos.labels["person"][i]))
    return list(behind.values())


@pytest.mark.parametrize(("people", "shared"), [(6, 5), (5, 5), (3, 3)])
def test_every_record_is_shared_by_five_people_or_by_all(people: int, shared: int) -> None:
    photos = _with_places(photos_of(240, people, seed=7), 7)
    assert all(len(behind) >= shared for behind in _people_behind(_fit(photos), photos))


def test_a_folder_is_released_in_the_same_way_whatever_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = photos_of(60, 3, seed=1)
    made = _fit(photos)
    album = tmp_path / "album"
    album.mkdir()
    rows = ["file_name,person"]
    for i, picture in enumerate(photos.images):
        (album / f"{i:03d}.png").write_bytes(encode_png(picture))
        rows.append(f"{i:03d}.png,{photos.classes['person'][int(photos.labels['person'][i])]}")
    (album / "000-broken.png").write_bytes(b"no picture")
    rows.append("000-broken.png,p0")
    (album / "metadata.csv").write_text("\n".join(rows))
    monkeypatch.setattr("sfumato.protect.release.parts.fresh_secret", lambda: bytes(32))
    contents = []
    for batch in (1, 7, 256):
        options = SourceOptions(size=(8, 8), channels=1)
        images = open_lazily(f"folder:{album}", options)
        out = tmp_path / f"out{batch}"
        released = write_pictures(made, images, out, batch_size=batch)
        assert (released.count, released.left_out) == (60, 1)
        contents.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert contents[0] == contents[1] == contents[2]
    assert (tmp_path / "out1" / "metadata.csv").read_text().splitlines()[0] == "file_name"


def test_a_collection_without_the_private_label_is_not_released(tmp_path: Path) -> None:
    photos = photos_of(60, 3, seed=1)
    bare = ImageSet(name="bare", images=photos.images)
    with pytest.raises(DataError, match=r"bare has no label 'person', which prototypes:\d hides"):
        write_pictures(_fit(photos), LoadedImages(bare), tmp_path / "out")


def test_prototypes_that_are_near_to_a_picture_of_the_collection_are_left_out(
    tmp_path: Path,
) -> None:
    """A collection may hold what an anonymiser of another collection shows."""
    photos = photos_of(160, 4, seed=2)
    made = _fit(photos)
    far = made.pictures.clone()
    far[0], far[1] = 0.0, 1.0
    made.pictures.copy_(far)
    images = photos.images.clone()
    images[0] = 0
    again = ImageSet(name="again", images=images, labels=photos.labels, classes=photos.classes)
    released = write_pictures(made, LoadedImages(again), tmp_path / "out")
    shown = {max(Image.open(path).tobytes()) for path in released.folder.glob("*.png")}
    assert 0 not in shown, "the black prototype is somebody's picture here"
    images[-len(far) :] = (far * 255).round().to(torch.uint8)
    every = ImageSet(name="every", images=images, labels=photos.labels, classes=photos.classes)
    with pytest.raises(DataError, match="every prototype is nearer than"):
        write_pictures(made, LoadedImages(every), tmp_path / "no")
