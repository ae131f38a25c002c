"""`sfumato audit --faces`: released photographs beside their originals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner, Result

from sfumato.audit.report.report import read_report
from sfumato.cli.main import app
from sfumato.errors import ConfigError, DataError
from sfumato.photo import compare as module
from sfumato.photo.boxes import read_boxes
from sfumato.photo.find.box import Face
from sfumato.photo.find.finder import FaceFinder
from tests.drawn import drawn_face, needs_faces

pytestmark = needs_faces
FACE = Face(left=50, top=50, right=120, bottom=145, score=0.9)
PEOPLE = 6
CLEAR = ("person0-0.png", "person3-1.png")


class Found(FaceFinder):
    """In place of the detector: every photograph has its face at one place."""

    def __init__(self) -> None:
        pass

    def __call__(self, picture: Tensor, **_: object) -> list[Face]:
        return [FACE] if int(picture[:, 60:120, 60:120].float().std()) > 9 else []


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve photographs of six people, and a release in which two faces were missed."""
    monkeypatch.setattr(module, "FaceFinder", Found)
    monkeypatch.setattr("sfumato.cli.audit.QUICK_EPOCHS", 1)
    rows = ["file_name,who,mood"]
    for folder in ("originals", "released"):
        (tmp_path / folder).mkdir()
    for person in range(PEOPLE):
        for view in range(2):
            name = f"person{person}-{view}.png"
            pixels = torch.full((3, 190, 190), 128, dtype=torch.uint8)
            pixels[:, 10:170, 10:170] = drawn_face(person, turn=4 * view)
            rows.append(f"{name},p{person},{'glad' if person % 2 else 'sad'}")
            save(tmp_path / "originals" / name, pixels)
            if name not in CLEAR:
                pixels[:, 20:165, 30:150] = 100
            save(tmp_path / "released" / name, pixels)
    (tmp_path / "originals" / "metadata.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def save(path: Path, pixels: Tensor) -> None:
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(path)


def audit(album: Path, *more: str) -> Result:
    given = [f"--data=folder:{album / 'originals'}", f"--faces={album / 'released'}"]
    quick = ["--quick", "--seeds=1", "--device=cpu", f"--out={album / 'out'}"]
    return CliRunner().invoke(app, ["audit", *given, *quick, *more])


@pytest.mark.slow
def test_missed_faces_are_counted_and_the_others_attacked(album: Path) -> None:
    result = audit(album, "--private=mood", "--identity=who", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["faces"] == {
        "photographs": 12, "faces": 12, "aligned": 12, "still_matched": 2, "found_again": 2,
        "attacked": 12, "left_out": [],
    }  # fmt: skip
    assert sorted(read_boxes(album / "out" / "uncovered.csv").photos) == sorted(CLEAR)
    report = read_report(album / "out" / "report.json")
    found = {cell.attack: cell for cell in report.cells}
    assert set(found) == {
        "copies", "attributes:mood", "matched", "recognised", "faces:mood", "quality",
    }  # fmt: skip
    assert not report.failed
    assert all(cell.protector == "released:released" for cell in report.cells)
    left = {"p0", "p3"} & _victims(album)
    count = found["matched"].victims
    assert found["matched"].finding is not None
    assert found["matched"].finding.value == pytest.approx(len(left) / count)
    assert found["copies"].originals == len(left)
    top = found["recognised"].finding
    assert top is not None
    assert top.ceiling > top.floor


def _victims(album: Path) -> set[str]:
    from sfumato.audit.faces import face_sides, faces_of
    from sfumato.photo.compare import pair_files

    images = faces_of(pair_files(album / "originals", album / "released"), "who").images
    victims, _ = face_sides(images, "who", seed=0)
    return {images.classes["who"][i] for i in victims.label("who").tolist()}


def test_a_dry_run_compares_a_few_and_writes_nothing(album: Path) -> None:
    before = sorted(album.rglob("*"))
    facts = json.loads(audit(album, "--dry-run", "--json").stdout)
    assert (facts["photos"], facts["left_out"]) == (12, [])
    assert facts["minutes"] > 0
    assert facts["writes"] == [str(album / "out"), str(album / "out" / "uncovered.csv")]
    assert sorted(album.rglob("*")) == before


def test_names_that_were_not_kept_are_refused(album: Path) -> None:
    for i, path in enumerate(sorted((album / "released").iterdir())):
        path.rename(path.with_name(f"{i:08d}.png"))
    result = audit(album)
    assert isinstance(result.exception, DataError)
    assert "--keep-names` keeps names" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--protector=blur:2"], ConfigError, "leave out --protector, --split"),
        (["--size=32"], ConfigError, "leave out --protector, --split"),
        (["--data=digits"], ConfigError, "`faces` compares folders of photographs"),
        (["--identity=nobody"], DataError, "no label 'nobody'; it has: mood, who"),
        (["--private=nobody"], DataError, "no label 'nobody'"),
    ],
)
def test_mistakes_are_named(
    album: Path, arguments: list[str], error: type[Exception], message: str
) -> None:
    result = audit(album, *arguments)
    assert isinstance(result.exception, error), result.output
    assert message in str(result.exception)
    dry = audit(album, *arguments, "--dry-run")
    assert repr(dry.exception) == repr(result.exception)
    assert not (album / "out").exists()


def test_an_audit_needs_a_protector_or_a_release(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["audit", "--data=digits", f"--out={tmp_path / 'out'}"])
    assert isinstance(result.exception, ConfigError)
    assert "give one at least, or released photographs by `faces`" in str(result.exception)


def test_the_data_folder_of_the_environment_stops_no_photographs(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFUMATO_DATA", str(album))
    assert audit(album, "--dry-run").exit_code == 0
