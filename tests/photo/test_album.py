from __future__ import annotations

import csv
import os
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from sfumato.audit.protectors import open_protector
from sfumato.errors import DataError, InputError
from sfumato.photo import album as module
from sfumato.photo.album import release_photos
from sfumato.photo.boxes import read_boxes
from sfumato.photo.collection import KSameFaces
from sfumato.photo.compare import pair_files
from sfumato.photo.config import FaceConfig
from sfumato.photo.dryrun import planned
from sfumato.photo.find.box import Face
from sfumato.photo.find.finder import FaceFinder
from sfumato.photo.job import Job
from sfumato.protect.baselines import Blur, Pixelate
from tests.photo.album import BOX, encoded, phone_jpeg, picture, pixels_of

FACE = Face(left=BOX[0], top=BOX[1], right=BOX[2], bottom=BOX[3], score=0.9)
DOUBTFUL = Face(left=400, top=20, right=460, bottom=90, score=0.3)


class Found(FaceFinder):
    """In place of the detector: the same two boxes in every photograph, and how often it ran."""

    ran = 0

    def __init__(self) -> None:
        pass

    def __call__(self, *_: object, **__: object) -> list[Face]:
        Found.ran += 1
        return [FACE, DOUBTFUL]


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    Found.ran = 0
    monkeypatch.setattr("sfumato.photo.search.FaceFinder", Found)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "Anna at home").mkdir(parents=True)
    (folder / "Anna at home" / "IMG_1.JPG").write_bytes(phone_jpeg())
    (folder / "b.png").write_bytes(encoded(picture(), "PNG"))
    (folder / "c.webp").write_bytes(encoded(picture(), "WEBP", lossless=True))
    (folder / "notes.txt").write_text("no picture")
    return folder


def job(photos: Path, **changes: object) -> Job:
    made = Job(protector=Pixelate(28), source=photos, out=photos.parent / "out")
    return replace(made, **changes)


def wide(path: Path) -> int:
    with Image.open(path) as opened:
        return opened.width


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_photograph_is_written_with_its_face_protected(photos: Path) -> None:
    done = release_photos(job(photos, keep_names=True))
    assert (done.photos, done.protected, done.left_clear, done.left_out) == (3, 3, 3, 1)
    files = sorted(p.relative_to(done.folder).as_posix() for p in done.folder.rglob("*.*"))
    assert files == ["Anna at home/IMG_1.JPG", "b.png", "c.webp"]
    before, after = pixels_of(photos / "b.png"), pixels_of(done.folder / "b.png")
    left, top, right, bottom = BOX
    assert abs(before - after)[top:bottom, left:right].mean() > 10
    assert (before == after)[300:].all()
    assert (before == after)[20:90, 400:460].all()  # too little sure
    assert 'notes.txt,"expected a picture' in (photos.parent / "out.left-out.csv").read_text()


def test_names_go_unless_they_are_asked_for(photos: Path) -> None:
    done = release_photos(job(photos))
    assert sorted(p.stem for p in done.folder.iterdir()) == [f"{i:08d}" for i in range(3)]
    assert sorted(p.suffix for p in done.folder.iterdir()) == [".jpg", ".png", ".webp"]
    assert not any(b"Anna" in p.read_bytes() for p in done.folder.iterdir())


def test_times_do_not_tell_the_order_that_numbers_hide(photos: Path) -> None:
    done = release_photos(job(photos))
    times = {path.stat().st_mtime_ns for path in done.folder.iterdir()}
    assert len(times) == 1
    assert done.photos == 3


def test_each_file_has_a_name_of_its_own_whatever_its_format_becomes(photos: Path) -> None:
    for number, (name, format_) in enumerate(
        {
            "a.bmp": "BMP", "a.jpg": "JPEG", "a.png": "PNG", "A.PNG": "PNG",
            "d.bmp": "BMP", "d.png/e.png": "PNG",
        }.items()
    ):  # fmt: skip
        path = photos / "same" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture().resize((64 + number, 64)), format_))
    done = release_photos(job(photos, keep_names=True))
    files = [p for p in (done.folder / "same").rglob("*.*") if p.is_file()]
    there = {p.relative_to(done.folder / "same").as_posix(): wide(p) for p in files}
    assert there == {
        "A.PNG": 67, "a.bmp.png": 64, "a.jpg": 65, "a.png.png": 66, "d.bmp.png": 68,
        "d.png/e.png": 69,
    }  # fmt: skip
    pairs = pair_files(photos, done.folder)
    assert {file for file, _ in pairs.files} >= {"same/a.bmp", "same/A.PNG", "b.png"}
    apart = {file: name for file, name in pairs.files if file.startswith("same")}
    for file, name in apart.items():
        assert wide(photos / file) == wide(done.folder / name), file


def test_a_file_that_was_left_out_has_no_name(photos: Path) -> None:
    whole = encoded(picture(), "BMP")
    (photos / "z.bmp").write_bytes(whole[: len(whole) // 2])
    (photos / "z.tif").write_bytes(encoded(picture().resize((70, 64)), "TIFF"))
    done = release_photos(job(photos, keep_names=True))
    assert wide(done.folder / "z.png") == 70
    assert ("z.tif", "z.png") in pair_files(photos, done.folder).files


def test_interrupted_at_the_very_end_it_goes_on(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as other:
        other.setattr("sfumato.photo.progress.os.utime", stopped)
        with pytest.raises(KeyboardInterrupt):
            release_photos(job(photos))
    notes = photos.parent / ".out.part" / ".seen.jsonl"
    assert b"Anna" in notes.read_bytes()
    if os.name == "posix":
        assert stat.S_IMODE(notes.stat().st_mode) == 0o600
    Found.ran = 0
    assert release_photos(job(photos)).photos == 3
    assert Found.ran == 0


def test_a_table_in_the_releases_own_place_goes_on_too(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release_photos(job(photos))
    mine = photos.parent / "out.boxes.csv"
    mine.write_text(mine.read_text().replace(",yes,", ",no,"))
    (photos.parent / "out").rename(photos.parent / "first")
    before = mine.read_bytes()

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as other:
        other.setattr(module, "write_review", stopped)
        with pytest.raises(KeyboardInterrupt):
            release_photos(job(photos, boxes=mine))
    assert release_photos(job(photos, boxes=mine)).protected == 0
    assert mine.read_bytes() == before


def test_a_release_in_its_own_photographs_is_refused(photos: Path) -> None:
    with pytest.raises(InputError, match="would be read with it the next time"):
        release_photos(job(photos, out=photos / "Anna at home" / "out"))


def test_what_gives_no_pictures_is_refused_before_the_search(photos: Path) -> None:
    for refuse in (release_photos, planned):
        with pytest.raises(DataError, match="a folder of pictures takes floats"):
            refuse(job(photos, protector=open_protector("sealed:raw:3x112x112")))
    assert Found.ran == 0


def test_a_persons_corrections_are_what_is_protected(photos: Path) -> None:
    first = release_photos(job(photos))
    table = (
        first.boxes.read_text().replace(",0.300,no", ",0.300,yes").replace("0.900,yes", "0.900,no")
    )
    corrected = photos.parent / "mine.csv"
    corrected.write_text(table)
    Found.ran = 0
    again = release_photos(
        job(photos, boxes=corrected, keep_names=True, out=photos.parent / "again")
    )
    assert Found.ran == 0
    before, after = pixels_of(photos / "b.png"), pixels_of(again.folder / "b.png")
    assert (before == after)[BOX[1] : BOX[3], BOX[0] : BOX[2]].all()
    assert not (before == after)[20:90, 400:460].all()
    assert {box.protect for box in read_boxes(again.boxes).photos["b.png"]} == {True, False}


def test_a_photograph_that_the_table_lacks_is_never_released(photos: Path) -> None:
    table = photos.parent / "mine.csv"
    table.write_text("file_name,left,top,right,bottom\nb.png,,,,\n")
    with pytest.raises(DataError, match=r"has no row for Anna at home/IMG_1.JPG"):
        release_photos(job(photos, boxes=table))
    assert not (photos.parent / "out").exists()


def test_interrupted_it_goes_on_and_gives_the_same(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, kept = module.protect_faces, []

    def fails(*given: object, **named: object) -> object:
        if len(kept) == 2:
            raise KeyboardInterrupt
        kept.append(given)
        return whole(*given, **named)

    monkeypatch.setattr(module, "protect_faces", fails)
    with pytest.raises(KeyboardInterrupt):
        release_photos(job(photos))
    assert not (photos.parent / "out").exists()
    monkeypatch.setattr(module, "protect_faces", whole)
    Found.ran = 0
    done = release_photos(job(photos))
    assert Found.ran == 0
    assert len(list(done.folder.iterdir())) == 3
    assert not any(p.name.startswith(".") for p in done.folder.iterdir())


def test_another_protector_does_not_go_on(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "protect_faces", fails)
    with pytest.raises(KeyboardInterrupt):
        release_photos(job(photos))
    with pytest.raises(InputError, match="the protector changed"):
        release_photos(job(photos, protector=Blur(3.0)))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("b.jgp,1,2,30,40", "has a row for b.jgp, which .* lacks; correct the name"),
        ("b.png,600,2,630,40", "the box 600, 2, 630, 40 of b.png lies outside of its 512x512"),
        ("b.png,1,2,30,4000", "lies outside of its 512x512 pixels, or far beyond"),
    ],
)
def test_a_row_that_protects_nothing_is_refused(photos: Path, row: str, message: str) -> None:
    table = photos.parent / "mine.csv"
    files = ("Anna at home/IMG_1.JPG", "b.png", "c.webp")
    empty = "".join(f"{file},,,,\n" for file in files)
    table.write_text(f"file_name,left,top,right,bottom\n{empty}{row}\n")
    with pytest.raises(DataError, match=message):
        release_photos(job(photos, boxes=table))
    assert {path.name for path in photos.parent.iterdir()} == {"photos", "mine.csv"}


def test_k_same_is_made_of_all_faces(photos: Path) -> None:
    (photos / "d.png").write_bytes(encoded(picture().rotate(180), "PNG"))
    done = release_photos(job(photos, protector=KSameFaces(2), keep_names=True))
    assert done.protected == 4
    left, top, right, bottom = BOX
    faces = [pixels_of(done.folder / name)[top:bottom, left:right] for name in ("b.png", "c.webp")]
    assert abs(faces[0] - faces[1]).mean() < 1  # equal pictures count once, and share a mean
    assert abs(faces[0] - pixels_of(photos / "b.png")[top:bottom, left:right]).mean() > 5


def test_the_review_shows_every_box_and_runs_nothing_else(photos: Path) -> None:
    (photos / "<script>alert(1)<b>.png").write_bytes(encoded(picture(), "PNG"))
    done = release_photos(job(photos))
    page = done.review.read_text()
    assert page.count('class="box"') == 4
    assert page.count('class="box no"') == 4
    assert "<script>alert" not in page
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "default-src 'none'; script-src 'sha256-" in policy[1]
    assert "http" not in re.sub(r"data:image/jpeg;base64,[\w+/=]*", "", page).replace(
        "http-equiv", ""
    )
    assert done.review.stat().st_mode & 0o077 == 0


def test_less_sure_boxes_come_with_a_lower_threshold(photos: Path) -> None:
    assert release_photos(job(photos, config=FaceConfig(sure=0.25))).protected == 6


def test_a_dry_run_writes_nothing(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfumato.photo.dryrun.FaceFinder", Found)
    plan = planned(job(photos))
    assert plan.photos == 3
    assert plan.minutes > 0
    assert [one.file for one in plan.left_out] == ["notes.txt"]
    assert sorted(p.name for p in photos.parent.iterdir()) == ["photos"]


def test_a_dry_run_makes_the_mistakes_of_the_release(photos: Path) -> None:
    table = photos.parent / "mine.csv"
    table.write_text("file_name,left,top,right,bottom\nb.png,,,,\n")
    wrong = (job(photos, boxes=table), job(photos, out=photos), job(photos / "Anna at home" / "no"))
    for one in wrong:
        with pytest.raises((DataError, InputError)) as real:
            release_photos(one)
        with pytest.raises(type(real.value)) as dry:
            planned(one)
        assert str(dry.value) == str(real.value)


def test_an_existing_folder_is_left_alone(photos: Path) -> None:
    with pytest.raises(InputError, match="exists already"):
        release_photos(job(photos, out=photos))


def test_a_folder_without_photographs_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "a.txt").write_text("x")
    with pytest.raises(
        DataError,
        match="expected a photograph or a film, got 1 file of which none can be used",
    ):
        release_photos(job(folder))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty"]
