from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from sfumato.cli.main import app
from sfumato.data.sources import load
from sfumato.errors import ArtifactError, DataError
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.protect.release.maps import open_maps


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An obfuscator, its maps of digits, with and without the label, and their classifier."""
    there = tmp_path_factory.mktemp("classify")
    classes = list(load("digits", count=4).classes["digit"])
    made = Obfuscator(
        channels=1, height=32, width=32, utility="digit", classes=classes, scale=0.07,
        map_channels=4,
    )  # fmt: skip
    made.save_pretrained(there / "made")
    release = ["release", str(there / "made"), "--data=digits", "--count=40"]
    _run(*release, f"-o{there / 'labelled.arrow'}", "--keep=digit")
    _run(*release, f"-o{there / 'bare.arrow'}")
    fit = [f"--from-release={there / 'labelled.arrow'}", "--label=digit", "--epochs=1"]
    _run("fit", "classifier", *fit, "--device=cpu", f"-o{there / 'classifier'}")
    return there


def _run(*words: str) -> str:
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_every_map_is_named_and_accuracy_measured_where_labels_are(folder: Path) -> None:
    out = folder / "named.csv"
    words = ["classify", str(folder / "classifier"), f"-o{out}", "--device=cpu", "--json"]
    found = json.loads(_run(*words, f"--maps={folder / 'labelled.arrow'}"))
    with out.open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["map", "digit"]
    assert [int(row[0]) for row in rows] == list(range(40))
    stored = open_maps(folder / "labelled.arrow")
    truth = [stored.about.classes["digit"][i] for i in stored.label("digit").tolist()]
    right = sum(row[1] == value for row, value in zip(rows, truth, strict=True))
    assert found["accuracy"] == pytest.approx(right / 40)
    bare = json.loads(_run(*words, f"--maps={folder / 'bare.arrow'}"))
    assert (bare["maps"], bare["accuracy"]) == (40, None)


def test_what_is_no_classifier_and_maps_of_another_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    words = ["--device=cpu", f"-o{tmp_path / 'named.csv'}"]
    with pytest.raises(ArtifactError):
        _run("classify", str(folder / "labelled.arrow"), f"--maps={folder / 'bare.arrow'}", *words)
    torch.manual_seed(99)  # other weights than those of the fixture, whatever was drawn there
    other = Obfuscator(
        channels=1, height=32, width=32, utility="digit", classes=["a", "b"], scale=0.07,
        map_channels=4,
    )  # fmt: skip
    other.save_pretrained(tmp_path / "other")
    _run("release", str(tmp_path / "other"), "--data=digits", "--count=4", f"-o{tmp_path / 'm'}")
    with pytest.raises(DataError, match="release the pictures with the former"):
        _run("classify", str(folder / "classifier"), f"--maps={tmp_path / 'm'}", *words)
    assert not (tmp_path / "named.csv").exists()
