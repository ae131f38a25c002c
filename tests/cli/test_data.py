"""`sfumato data` lists what is there and shows it; what goes wrong is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from sfumato.cli import app
from sfumato.data import SOURCES, decode_image, encode_png
from sfumato.errors import ConfigError, DataError, InputError


def run(*args: str) -> str:
    result = CliRunner().invoke(app, ["data", *args], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def test_the_list_names_every_set_and_says_what_is_here(tmp_path: Path) -> None:
    text = run("list", "--data-dir", str(tmp_path))
    for name in SOURCES:
        assert any(line.startswith(name + " ") for line in text.splitlines())
    sets = {row["name"]: row for row in json.loads(run("list", "--json"))["sets"]}
    assert sets["digits"]["here"] == ["all"]
    assert sets["mnist"]["here"] == []
    assert sets["mnist"]["images"] == 70_000


def test_the_list_finds_published_files(real_data: Path) -> None:
    sets = json.loads(run("list", "--data-dir", str(real_data), "--json"))["sets"]
    here = {row["name"]: row["here"] for row in sets}
    assert here["mnist"] == here["cifar10"] == here["pendigits"] == ["all", "train", "test"]
    assert here["fashion-mnist"] == ["test"]
    assert here["lfw"] == here["yale"] == ["all"]
    assert here["cifar100"] == here["market1501"] == []


def test_a_sheet_is_written_with_equally_many_of_each_value(tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    facts = json.loads(run("show", "digits", "-o", str(out), "--by", "digit", "--json"))
    assert facts["images"] == 1_797
    assert facts["labels"] == {"digit": 10}
    sheet = decode_image(out.read_bytes())
    assert sheet.shape[2] == 6 * (96 + 6) + 6  # one row a digit
    again = tmp_path / "again.png"
    run("show", "digits", "-o", str(again), "--by", "digit")
    assert again.read_bytes() == out.read_bytes()
    run("show", "digits", "-o", str(again), "--by", "digit", "--seed", "1")
    assert again.read_bytes() != out.read_bytes()


def test_a_folder_is_shown_and_what_was_skipped_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").write_bytes(encode_png(torch.zeros(3, 9, 9, dtype=torch.uint8)))
    (tmp_path / "a" / "y.png").write_bytes(b"no")
    out = tmp_path / "out.png"
    facts = json.loads(run("show", f"folder:{tmp_path}", "-o", str(out), "--json"))
    assert facts["skipped"][0].startswith("a/y.png: expected a picture")


def test_what_cannot_be_shown_is_one_error_and_no_file(tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    with pytest.raises(DataError, match="no data set is called"):
        run("show", "nothing", "-o", str(out))
    with pytest.raises(DataError, match="has no label 'mood'; it has: digit"):
        run("show", "digits", "-o", str(out), "--by", "mood")
    with pytest.raises(ConfigError, match="--split is all, train or test"):
        run("show", "digits", "-o", str(out), "--split", "half")
    with pytest.raises(InputError, match="cannot write"):
        run("show", "digits", "-o", "/proc/nowhere/sheet.png")
    assert not out.exists()
