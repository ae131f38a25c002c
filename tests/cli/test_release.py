from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from sfumato.cli.main import app
from sfumato.data.sources import load
from sfumato.errors import ConfigError, InputError
from sfumato.nets.vgg import PAPER_CUT
from sfumato.protect.obfuscator import Obfuscator


def test_a_blurred_collection_is_written_and_read_back(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = CliRunner().invoke(
        app,
        ["release", "blur:1", "--data=digits", "--count=30", "--keep=digit", "--json", f"-o{out}"],
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["images"] == 30
    read = load(f"folder:{out}")
    assert len(read) == 30
    assert set(read.labels) == {"digit"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["smudge:1"], ConfigError, "is none of none, noise, blur"),
        (["blur:1", "--split", "half"], ConfigError, "--split is all, train or test"),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path, arguments: list[str], error: type[Exception], message: str
) -> None:
    result = CliRunner().invoke(
        app, ["release", *arguments, "--data=digits", f"-o{tmp_path / 'out'}"]
    )
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_never_overwritten(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["release", "none", "--data", "digits", "--count", "3", "-o", str(tmp_path)]
    )
    assert isinstance(result.exception, InputError)


def test_an_obfuscators_maps_train_a_classifier_without_pictures(tmp_path: Path) -> None:
    made = Obfuscator(
        channels=1, height=32, width=32, utility="digit", classes=list("0123456789"), scale=0.07,
        cut=PAPER_CUT, map_channels=4, noise=0.0,
    ).eval()  # fmt: skip
    pictures = load("digits", size=32, count=100).floats()
    with torch.no_grad():
        made.set_step(made.means(pictures))
    made.save_pretrained(tmp_path / "made")
    arguments = ["--data=digits", "--count=1200", "--keep=digit", "--json", f"-o{tmp_path / 'out'}"]
    result = CliRunner().invoke(app, ["release", str(tmp_path / "made"), *arguments])
    assert result.exit_code == 0, result.output
    released = json.loads(result.stdout.splitlines()[-1])
    assert released["maps"] == 1200
    assert released["picture_bytes"] == 1200 * 32 * 32
    file = tmp_path / "classifier.safetensors"
    result = CliRunner().invoke(
        app,
        ["fit", "classifier", f"--from-release={tmp_path / 'out'}", "--label=digit",
         "--epochs=20", "--device=cpu", "--json", f"-o{file}"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["accuracy"] > 0.5
    assert file.is_file()
