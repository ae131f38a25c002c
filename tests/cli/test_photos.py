from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sfumato.cli.main import app
from sfumato.errors import ConfigError
from tests.photo.album import encoded, picture


def release(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["release", *map(str, arguments)])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    small = picture().resize((200, 200))
    (folder / "a.png").write_bytes(encoded(small, "PNG"))
    return folder


def test_a_photographs_face_is_found_and_protected(photos: Path) -> None:
    out = photos.parent / "out"
    result = release("pixelate:14", f"--data=folder:{photos}", "--faces", "--json", f"-o{out}")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout.splitlines()[-1])
    assert (facts["protector"], facts["photos"], facts["protected"]) == ("pixelate:14", 1, 1)
    assert (out / "00000000.png").is_file()
    assert Path(facts["review"]).is_file()


def test_a_dry_run_says_what_would_be_written(photos: Path) -> None:
    out = photos.parent / "out"
    (photos / "letter.txt").write_text("not a picture")
    given = ("blur:8", f"--data=folder:{photos}", "--faces", f"-o{out}", "--dry-run")
    facts = json.loads(release(*given, "--json").stdout)
    assert (facts["dry_run"], facts["photos"], facts["films"]) == (True, 1, 0)
    assert [file for file, _ in facts["left_out"]] == ["letter.txt"]
    assert facts["writes"][:2] == [str(out), f"{out}.boxes.csv"]
    assert facts["minutes"] > 0
    assert "would protect every face by blur:8" in release(*given).stdout
    assert [path.name for path in photos.parent.iterdir()] == ["photos"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keep-names"], "add --faces"),
        (["--sure=0.3"], "add --faces"),
        (["--faces", "--keep=who"], "leave out --keep"),
        (["--faces", "--size=32"], "leave out --keep, --split, --size"),
        (["--faces", "--seed=1"], "--ray, --seed and --batch"),
        (["--faces", "--batch=8"], "--ray, --seed and --batch"),
        (["--faces", "--only=a", "--except=b", "--backbone=c"], "give one of them"),
        (["--faces", "--only=a"], "need the --backbone"),
        (["--faces", "--backbone=a"], "belongs to --only or --except"),
        (["--faces", "--only=a", "--boxes=b.csv", "--backbone=c"], "says already who"),
    ],
)
def test_options_that_do_not_go_together_are_named(
    photos: Path, arguments: list[str], message: str
) -> None:
    result = release("blur:8", f"--data=folder:{photos}", f"-o{photos.parent / 'o'}", *arguments)
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)


def test_a_set_of_single_pictures_has_no_faces_to_find(tmp_path: Path) -> None:
    result = release("blur:8", "--data=digits", "--faces", f"-o{tmp_path / 'o'}")
    assert isinstance(result.exception, ConfigError)
    assert "takes a folder of photographs, got 'digits'" in str(result.exception)
