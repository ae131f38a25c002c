"""Sets of the hub, without a network: saved folders, local image folders, and clear refusals."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import datasets
import pyarrow as pa
import pytest
import torch
from PIL import Image

from sfumato.data import MISSING, encode_png, load
from sfumato.data.hub import load_hub
from sfumato.data.options import SourceOptions
from sfumato.errors import DataError, UnavailableError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf-cache")


def png(grey: int, size: int = 6) -> bytes:
    return encode_png(torch.full((1, size, size), grey, dtype=torch.uint8))


def table(contents: list[bytes], moods: list[int | None]) -> datasets.Dataset:
    return datasets.Dataset.from_dict(
        {
            "image": [{"bytes": content, "path": None} for content in contents],
            "mood": moods,
            "note": ["text"] * len(contents),
        },
        features=datasets.Features(
            image=datasets.Image(),
            mood=datasets.ClassLabel(names=["glad", "sad"]),
            note=datasets.Value("string"),
        ),
    )


def test_a_saved_set_gives_pictures_and_class_columns(tmp_path: Path) -> None:
    parts = {"train": table([png(1), png(2)], [0, 1]), "test": table([png(3)], [None])}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    images = load(f"hf:{tmp_path / 'saved'}")
    assert images.images[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert images.classes == {"mood": ("glad", "sad")}
    assert images.label("mood").tolist() == [0, 1, MISSING]
    test = load(f"hf:{tmp_path / 'saved'}", split="test", size=4, channels=3)
    assert test.images.shape == (1, 3, 4, 4)
    renamed = load_hub(
        str(tmp_path / "saved"), SourceOptions(), name="x", labels={"mood": ("state", None)}
    )
    assert (renamed.name, set(renamed.labels)) == ("x", {"state"})


def test_a_local_image_folder_is_a_set_too(tmp_path: Path) -> None:
    for kind, grey in (("cat", 10), ("dog", 20)):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        (tmp_path / "pets" / kind / "a.png").write_bytes(png(grey))
    images = load(f"hf:{tmp_path / 'pets'}")
    assert images.classes == {"label": ("cat", "dog")}
    assert sorted(images.images[:, 0, 0, 0].tolist()) == [10, 20]


def test_pictures_pass_the_decoders_limits(tmp_path: Path) -> None:
    frames = BytesIO()
    still = Image.new("L", (6, 6))
    still.save(frames, "GIF", save_all=True, append_images=[Image.new("L", (6, 6), 200)])
    table([png(1), frames.getvalue()], [0, 1]).save_to_disk(tmp_path / "saved")
    images = load(f"hf:{tmp_path / 'saved'}")
    assert images.label("mood").tolist() == [0]
    ((name, reason),) = images.skipped
    assert name == "image 1"
    assert reason.startswith("expected a still picture")
    table([frames.getvalue()], [1]).save_to_disk(tmp_path / "none")
    with pytest.raises(DataError, match="none of its 1 image is usable: image 0: expected a st"):
        load(f"hf:{tmp_path / 'none'}")


def test_a_count_is_of_usable_pictures(tmp_path: Path) -> None:
    contents = [png(grey) if grey % 3 else b"none" for grey in range(1, 31)]
    table(contents, [0, 1] * 15).save_to_disk(tmp_path / "saved")
    source = f"hf:{tmp_path / 'saved'}"
    whole = load(source)
    assert (len(whole), len(whole.skipped)) == (20, 10)
    for seed in range(5):
        some = load(source, count=12, seed=seed)
        greys = some.images[:, 0, 0, 0].tolist()
        assert len(set(greys)) == 12
        assert greys == sorted(greys)
        assert some.label("mood").tolist() == [(grey - 1) % 2 for grey in greys]
        assert {int(one.file.split()[1]) % 3 for one in some.skipped} <= {2}  # their own rows
    with pytest.raises(DataError, match=r"expected 21 pictures in hf:.*: 20 usable; skipped 10"):
        load(source, count=21)


def test_what_does_not_fit_is_explained(tmp_path: Path) -> None:
    table([png(1), png(2, size=9)], [0, 1]).save_to_disk(tmp_path / "mixed")
    with pytest.raises(DataError, match=r"differ in size \(6x6, 9x9"):
        load(f"hf:{tmp_path / 'mixed'}")
    with pytest.raises(DataError, match="has no splits; load all of it"):
        load(f"hf:{tmp_path / 'mixed'}", split="test")
    table([png(1)], [0]).remove_columns("image").save_to_disk(tmp_path / "blind")
    with pytest.raises(DataError, match="expected one image column, got none of mood, note"):
        load(f"hf:{tmp_path / 'blind'}")
    parts = datasets.DatasetDict({"train": table([png(1)], [0])})
    parts.save_to_disk(tmp_path / "parts")
    with pytest.raises(DataError, match="has no split 'test'; it has: train"):
        load(f"hf:{tmp_path / 'parts'}", split="test")
    with pytest.raises(DataError, match="has no class column 'kind'"):
        load_hub(str(tmp_path / "mixed"), SourceOptions(), labels={"kind": ("kind", None)})


def test_splits_that_do_not_go_together_are_taken_one_by_one(tmp_path: Path) -> None:
    """So are published test sets whose labels are kept back, or counted in another order."""
    other = datasets.ClassLabel(names=["sad", "glad"])
    parts = {"train": table([png(1)], [0]), "test": table([png(2)], [0]).cast_column("mood", other)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "parts")
    with pytest.raises(DataError, match=r"splits differ in a column .*; take one of them: train"):
        load(f"hf:{tmp_path / 'parts'}")
    assert load(f"hf:{tmp_path / 'parts'}", split="test").classes == {"mood": ("sad", "glad")}


@pytest.mark.parametrize("content", [b"", b"junk"])
@pytest.mark.parametrize("file", ["state.json", "dataset_info.json", "*.arrow"])
def test_a_damaged_folder_is_no_matter_of_the_network(
    file: str, content: bytes, tmp_path: Path
) -> None:
    table([png(1)], [0]).save_to_disk(tmp_path / "saved")
    (found,) = (tmp_path / "saved").glob(file)
    found.write_bytes(content)
    with pytest.raises(DataError, match="a folder of `datasets`"):
        load(f"hf:{tmp_path / 'saved'}")


def test_an_empty_split_is_named(tmp_path: Path) -> None:
    parts = {"train": table([png(1)], [0]), "test": table([], [])}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "parts")
    with pytest.raises(DataError, match="without splits that are empty"):
        load(f"hf:{tmp_path / 'parts'}")


@pytest.mark.parametrize("name", ["hf:nobody/nothing", "mnist", "cifar100"])
def test_without_a_network_the_way_out_is_named(name: str) -> None:
    with pytest.raises(UnavailableError, match=r"connect to the network, or give a data folder"):
        load(name)


def elsewhere(folder: Path, path: str | None) -> str:
    """A saved set with one picture in it, and one that it says lies at a path."""
    kind = datasets.Features(image=datasets.Image()).arrow_schema.field(0).type
    cells = pa.array([{"bytes": png(3), "path": None}, {"bytes": None, "path": path}], kind)
    datasets.Dataset.from_dict(
        {"image": [{"bytes": png(3), "path": None}]},
        features=datasets.Features(image=datasets.Image()),
    ).save_to_disk(folder)
    (file,) = folder.glob("*.arrow")
    file.unlink()
    rows = pa.table({"image": cells})
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return f"hf:{folder}"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (None, "expected a picture, got an empty cell"),
        ("", "expected a picture, got an empty cell"),
        ("a\0b", "there is no such file"),
        ("set/none.png", "there is no such file"),
        ("set", "not a plain file"),
        ("/nowhere/a.png", "its file lies outside the data set's folder"),
        (os.devnull, "its file lies outside the data set's folder"),
        ("set/../private.png", "its file lies outside the data set's folder"),
        ("set/link.png", "its file lies outside the data set's folder"),
        ("set/circle", "there is no such file"),
    ],
)
def test_a_cell_that_names_no_file_is_left_out(
    path: str | None, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who publishes a set writes its paths: none of them fetches a picture from elsewhere."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "private.png").write_bytes(png(9))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link.png").symlink_to(tmp_path / "private.png")
    (tmp_path / "set" / "circle").symlink_to(tmp_path / "set" / "circle")
    found = load(elsewhere(tmp_path / "set", path))
    assert len(found) == 1
    assert [str(each) for each in found.skipped] == [f"image 1: {reason}"]


def test_no_more_of_a_named_file_is_read_than_a_picture_may_have(tmp_path: Path) -> None:
    huge = tmp_path / "set" / "huge"
    huge.parent.mkdir()
    with huge.open("wb") as stream:
        stream.truncate(1 << 40)  # without blocks; more than any memory
    found = load(elsewhere(tmp_path / "set", str(huge)))
    assert "expected at most 33,554,432 bytes" in str(found.skipped[0])
