"""Stored maps: what is written is read back, and nothing that lies is believed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from datasets import Dataset

from sfumato.data.decoding.decode import encode_png
from sfumato.data.imageset import ImageSet
from sfumato.data.lazy import LoadedImages, open_lazily
from sfumato.data.leftout import read_list
from sfumato.data.options import SourceOptions
from sfumato.errors import ArtifactError, ConfigError, DataError, InputError
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.protect.release.classifier import fit_map_classifier, open_map_classifier
from sfumato.protect.release.config import MapClassifierConfig
from sfumato.protect.release.maps import (
    FILE,
    About,
    StoredMaps,
    about,
    fingerprint,
    open_maps,
    write_maps,
)
from tests.protect.release import make_maps_vector as vector

_CLASSES = ("dark", "light")
_SECRET = bytes(range(32))


def _pictures(count: int = 60) -> ImageSet:
    mood = torch.arange(count) % 2
    images = (torch.rand(count, 1, 32, 32) * 60 + 150 * mood[:, None, None, None]).to(torch.uint8)
    return ImageSet(name="made", images=images, labels={"mood": mood}, classes={"mood": _CLASSES})


def _obfuscator(seed: int = 0, stored: str = "int8", noise: float = 0.0) -> Obfuscator:
    torch.manual_seed(seed)
    made = Obfuscator(
        channels=1, height=32, width=32, utility="mood", classes=list(_CLASSES), scale=0.07,
        map_channels=3, noise=noise, stored=stored,
    ).eval()  # fmt: skip
    with torch.no_grad():
        made.set_step(made.means(_pictures().floats()))
    return made


def _write(out: Path, labels: list[str]) -> None:
    write_maps(_obfuscator(), LoadedImages(_pictures()), out, secret=_SECRET, labels=labels)


@pytest.mark.parametrize("stored", ["int8", "bf16"])
def test_every_map_is_read_back_with_its_label(tmp_path: Path, stored: str) -> None:
    pictures, made = _pictures(), _obfuscator(stored=stored)
    written = write_maps(
        made,
        LoadedImages(pictures),
        tmp_path / "out",
        secret=_SECRET,
        labels=["mood"],
        batch_size=7,
    )
    read = open_maps(tmp_path / "out")
    expected = torch.cat([made.release(picture[None]) for picture in pictures.floats()])
    assert read.maps.dtype == expected.dtype
    assert torch.equal(read.floats(), made.floats(read.maps))
    # Rows are in another order: each must be found, with its own label.
    wanted = {
        (row.flatten().float().numpy().tobytes(), int(label))
        for row, label in zip(expected, pictures.labels["mood"], strict=True)
    }
    got = {
        (row.flatten().float().numpy().tobytes(), int(label))
        for row, label in zip(read.maps, read.labels["mood"], strict=True)
    }
    assert got == wanted
    assert not torch.equal(read.maps, expected)
    assert written.count == len(read) == 60
    assert written.picture_bytes == 60 * 32 * 32
    assert written.stored_bytes == (tmp_path / "out" / FILE).stat().st_size


def test_labels_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    write_maps(_obfuscator(), LoadedImages(_pictures()), tmp_path / "out", secret=_SECRET)
    read = open_maps(tmp_path / "out")
    assert dict(read.labels) == {}
    with pytest.raises(DataError, match="carry no label 'mood', only: none"):
        read.label("mood")


def test_the_order_does_not_follow_from_a_seed(tmp_path: Path) -> None:
    made, pictures = _obfuscator(), LoadedImages(_pictures())
    orders = []
    for name in ("a", "b"):
        torch.manual_seed(0)
        write_maps(made, pictures, tmp_path / name, secret=_SECRET)
        orders.append(open_maps(tmp_path / name).floats().flatten(1).tolist())
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])


def test_a_fingerprint_is_over_all_that_makes_the_maps_and_nothing_else() -> None:
    made = _obfuscator()
    same = _obfuscator()
    with torch.no_grad():
        for value in same.classifier.parameters():
            value.add_(1)
    assert fingerprint(same) == fingerprint(made)
    others = [_obfuscator(1), _obfuscator(noise=1.0), _obfuscator(noise=2.0)]
    others.append(_obfuscator(stored="bf16"))
    finer = _obfuscator()
    with torch.no_grad():
        finer.step.div_(2)
    marks = {fingerprint(one) for one in (made, *others, finer)}
    assert len(marks) == 6


def test_a_fingerprint_is_over_every_number_that_makes_the_maps() -> None:
    made = _obfuscator()
    mark = fingerprint(made)
    numbers = made.state_dict()  # shares their memory
    assert any(name < "nats" for name in numbers)
    for name, value in numbers.items():
        before = value.clone()
        value.add_(1)
        making = not name.startswith("classifier.") and name != "nats"
        assert (fingerprint(made) != mark) == making, name
        value.copy_(before)
    assert fingerprint(made) == mark


def test_files_without_a_picture_are_listed_beside_the_maps(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for i, picture in enumerate(_pictures(5).images):
        (source / f"{i}.png").write_bytes(encode_png(picture))
    (source / "0.png").write_bytes(b"no picture")
    options = SourceOptions(size=32, channels=1)
    images = open_lazily(f"folder:{source}", options)
    written = write_maps(_obfuscator(), images, tmp_path / "out", secret=_SECRET, batch_size=1)
    assert (written.count, written.left_out) == (4, 1)
    assert [left_out.file for left_out in read_list(tmp_path / "out.left-out.csv", 9)] == ["0.png"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == [FILE]
    for i in range(5):
        (source / f"{i}.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"none of its 5 files is usable: \d\.png: expected a pict"):
        write_maps(_obfuscator(), images, tmp_path / "none", secret=_SECRET)


def test_datasets_opens_the_file(tmp_path: Path) -> None:
    write_maps(
        _obfuscator(), LoadedImages(_pictures()), tmp_path / "out", secret=_SECRET, labels=["mood"]
    )
    rows = Dataset.from_file(str(tmp_path / "out" / FILE))
    read = open_maps(tmp_path / "out")
    assert rows[5]["map"] == read.maps[5].flatten().tolist()
    assert rows[5]["mood"] == int(read.labels["mood"][5])


def test_nothing_is_overwritten_and_unknown_labels_are_named(tmp_path: Path) -> None:
    made, pictures = _obfuscator(), LoadedImages(_pictures())
    with pytest.raises(InputError, match="exists already"):
        write_maps(made, pictures, tmp_path, secret=_SECRET)
    with pytest.raises(DataError, match="no label 'colour' to keep; it has: mood"):
        write_maps(made, pictures, tmp_path / "out", secret=_SECRET, labels=["colour"])
    assert list(tmp_path.iterdir()) == []


def _altered(folder: Path, **changes: object) -> None:
    path = folder / FILE
    table = pa.ipc.open_stream(path.read_bytes()).read_all()
    metadata = json.loads(table.schema.metadata[b"sfumato.maps"]) | changes
    schema = table.schema.with_metadata({b"sfumato.maps": json.dumps(metadata).encode()})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as stream:
        stream.write_table(table.cast(schema))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "expected maps of format 1"),
        ({"stored": "int4"}, "expected maps of format 1 in int8 or bf16"),
        ({"stored": "bf16"}, "columns are not those"),
        ({"shape": [3, 8, 9]}, "columns are not those"),
        ({"shape": [3, -8, -8]}, "no maps that sfumato wrote"),
        ({"shape": "abc"}, "no maps that sfumato wrote"),
        ({"step": [1.0]}, "no maps that sfumato wrote"),
        ({"classes": {"mood": ["one"]}}, "'mood' has values outside"),
        ({"classes": {"size": ["a", "b"]}}, "columns are not those"),
        ({"classes": 3}, "no maps that sfumato wrote"),
    ],
)
def test_metadata_that_lie_are_found_out(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    write_maps(
        _obfuscator(), LoadedImages(_pictures()), tmp_path / "out", secret=_SECRET, labels=["mood"]
    )
    _altered(tmp_path / "out", **changes)
    with pytest.raises(ArtifactError, match=message):
        open_maps(tmp_path / "out")


@pytest.mark.parametrize("keep", [0, 9, 400, -5])
def test_a_file_cut_short_or_absent_is_refused(tmp_path: Path, keep: int) -> None:
    out = tmp_path / "out"
    with pytest.raises(ArtifactError):
        open_maps(out)
    write_maps(_obfuscator(), LoadedImages(_pictures()), out, secret=_SECRET, batch_size=16)
    content = (out / FILE).read_bytes()
    (out / FILE).write_bytes(content[: len(content) // 2] if keep < 0 else content[:keep])
    with pytest.raises(ArtifactError):
        open_maps(out)


def _stored(made: Obfuscator, pictures: ImageSet) -> StoredMaps:
    return StoredMaps(
        about=about(made, pictures.classes),
        maps=made.release(pictures.floats()),
        labels=pictures.labels,
    )


def test_a_classifier_learns_from_maps_alone_and_is_read_back(tmp_path: Path) -> None:
    made = _obfuscator()
    stored = _stored(made, _pictures(200))
    config = MapClassifierConfig(epochs=6, batch_size=16, device="cpu")
    classifier, held = fit_map_classifier(stored, label="mood", config=config)
    assert held > 0.9
    classifier.save(tmp_path / "c.safetensors")
    read = open_map_classifier(tmp_path / "c.safetensors")
    fresh = _stored(made, _pictures(40))
    assert torch.equal(read.classify(fresh), classifier.classify(fresh))
    assert read.accuracy(fresh) > 0.9

    foreign = fingerprint(_obfuscator(1))
    with pytest.raises(
        DataError, match=rf"the obfuscator {fingerprint(made)[:12]}, got .* {foreign[:12]} "
    ):
        read.classify(_stored(_obfuscator(1), _pictures(4)))
    other = replace(fresh, about=replace(fresh.about, classes={"mood": ("a", "b", "c")}))
    with pytest.raises(DataError, match="knows 2 classes of 'mood', the maps have 3"):
        read.accuracy(other)
    content = (tmp_path / "c.safetensors").read_bytes()
    (tmp_path / "c.safetensors").write_bytes(content[:-9])
    with pytest.raises(ArtifactError):
        open_map_classifier(tmp_path / "c.safetensors")


def test_a_classifier_needs_two_classes() -> None:
    pictures = _pictures().where("mood", "dark")
    config = MapClassifierConfig(epochs=1, device="cpu")
    with pytest.raises(
        DataError, match="two classes of 'mood' at least, got 30 labelled maps of 1"
    ):
        fit_map_classifier(_stored(_obfuscator(), pictures), label="mood", config=config)
    single = _stored(_obfuscator(), _pictures())
    single = replace(single, about=replace(single.about, classes={"mood": ("only",)}))
    with pytest.raises(ConfigError, match="two classes at least"):
        fit_map_classifier(single, label="mood", config=config)


@pytest.mark.parametrize("stored", ["int8", "bf16"])
def test_frozen_maps_written_by_other_code_are_read(stored: str) -> None:
    read = open_maps(vector.HERE / f"maps-{stored}")
    numbers = {
        "int8": torch.from_numpy(vector.INT8).view(-1, *vector.SHAPE).float()
        * torch.tensor(vector.STEP)[:, None, None],
        "bf16": torch.from_numpy(vector.BF16).view(-1, *vector.SHAPE),
    }
    assert torch.equal(read.floats(), numbers[stored])
    assert read.labels["mood"].tolist() == vector.MOODS
    assert read.about == About(
        obfuscator="ab" * 32,
        name="obfuscator:rate",
        stored=stored,
        shape=(2, 3, 2),
        step=(0.5, 0.25),
        cut=14,
        scale=0.25,
        classes={"mood": ("calm", "cross")},
    )
