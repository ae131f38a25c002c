from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sfumato.cli.main import app
from sfumato.data.decoding.decode import encode_png
from sfumato.data.lazy import LoadedImages
from sfumato.data.sources import load
from sfumato.nets.cuts import PAPER_CUT
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.protect.release.maps import write_maps

_DIGITS = ["--data=digits", "--count=120"]
_PEOPLE = ["--data=characters:3", "--count=60", "--size=16"]
COMMANDS = {
    "prototypes": ["fit", "anonymizer", *_DIGITS, "--private=digit"],
    "anonymizer": ["fit", "anonymizer", *_DIGITS, "--private=digit", "--method=paper"],
    "obfuscator": ["fit", "obfuscator", *_DIGITS, "--utility=digit"],
    "san": ["fit", "san", *_PEOPLE, "--private=glasses"],
    "release": ["release", "blur:1", *_DIGITS, "--keep=digit"],
    "audit": ["audit", "--protector=blur:1", *_DIGITS, "--private=digit"],
}


def run(command: list[str], out: Path, *more: str) -> Result:
    return CliRunner().invoke(app, [*command, f"--out={out}", *more])


def maker() -> Obfuscator:
    return Obfuscator(
        channels=1, height=32, width=32, utility="digit", classes=list("0123456789"), scale=0.07,
        cut=PAPER_CUT, map_channels=4, noise=1.0, most_nats=8.0,
    ).eval()  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_a_dry_run_writes_nothing_and_ends_in_one_line(tmp_path: Path, name: str) -> None:
    result = run(COMMANDS[name], tmp_path / "out", "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["dry_run"] is True
    assert document["images"] in (60, 120)
    assert document["labels"]
    assert document["writes"] == [str(tmp_path / "out")]
    assert (document["minutes"] is None) == (name == "audit")
    assert list(tmp_path.iterdir()) == []
    said = run(COMMANDS[name], tmp_path / "out", "--dry-run")
    assert said.exit_code == 0
    assert "would read" in said.output
    assert f"would write {tmp_path / 'out'}" in said.output


WRONG_LABELS = {
    "prototypes": "--private=who",
    "anonymizer": "--private=who",
    "obfuscator": "--utility=who",
    "san": "--private=who",
    "release": "--keep=who",
    "audit": "--utility=who",
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("mistake", ["--data=nothing", "--count=0", "a label"])
def test_mistakes_are_those_of_the_command(tmp_path: Path, name: str, mistake: str) -> None:
    given = WRONG_LABELS[name] if mistake == "a label" else mistake
    real, dry = (run(COMMANDS[name], tmp_path / "out", given, *x) for x in ([], ["--dry-run"]))
    assert real.exit_code != 0
    assert (dry.exit_code, repr(dry.exception)) == (real.exit_code, repr(real.exception))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["prototypes", "obfuscator", "san", "release"])
def test_a_place_that_is_taken_is_named_before_anything_is_trained(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "letters.txt").write_text("mine")
    real, dry = (run(COMMANDS[name], tmp_path, *more) for more in ([], ["--dry-run"]))
    assert real.exit_code == dry.exit_code != 0
    assert str(real.exception) == str(dry.exception)
    assert str(tmp_path) in str(dry.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


def test_an_audit_says_who_is_on_which_side_and_what_is_kept(tmp_path: Path) -> None:
    command = [*COMMANDS["audit"], "--only", "--quick", "--seeds=1", "--device=cpu"]
    first = json.loads(run(command, tmp_path / "out", "--dry-run", "--json").stdout)
    assert first["sides"] == {"victims": 60, "adversary": 60}
    assert (first["protectors"], first["kept"]) == (["blur:1"], 0)
    assert first["attacks"] == ["copies", "attributes:digit", "quality"]
    assert first["measurements"] == 6  # of both sides of three scales
    assert run(command, tmp_path / "out").exit_code == 0
    files = sorted(path for path in tmp_path.rglob("*"))
    again = json.loads(run(command, tmp_path / "out", "--dry-run", "--json").stdout)
    assert (again["measurements"], again["kept"]) == (6, 6)
    assert sorted(path for path in tmp_path.rglob("*")) == files


def test_a_release_names_what_it_leaves_out_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, picture in enumerate(load("digits", count=3).images):
        (folder / f"{i}.png").write_bytes(encode_png(picture))
    (folder / "letter.txt").write_text("not a picture")
    command = ["release", "blur:1", f"--data=folder:{folder}"]
    document = json.loads(run(command, tmp_path / "out", "--dry-run", "--json").stdout)
    assert document["images"] == 3
    assert [file for file, _ in document["left_out"]] == ["letter.txt"]
    assert document["writes"] == [str(tmp_path / "out"), str(tmp_path / "out.left-out.csv")]
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_a_release_of_maps_names_the_secret_that_it_would_make(tmp_path: Path) -> None:
    made = maker()
    made.set_step(made.means(load("digits", size=32, count=20).floats()).detach())
    made.save_pretrained(tmp_path / "made")
    command = ["release", str(tmp_path / "made"), *_DIGITS]
    document = json.loads(run(command, tmp_path / "out", "--dry-run", "--json").stdout)
    assert document["writes"] == [str(tmp_path / "out"), str(tmp_path / "made.noise-key")]
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_classifier_of_maps_says_what_it_would_learn_from(tmp_path: Path) -> None:
    made, images = maker(), LoadedImages(load("digits", size=32, count=40))
    made.set_step(made.means(images.images.floats()).detach())
    write_maps(made, images, tmp_path / "maps", secret=bytes(32), labels=("digit",))
    command = ["fit", "classifier", f"--from-release={tmp_path / 'maps'}", "--label=digit"]
    document = json.loads(run(command, tmp_path / "out", "--dry-run", "--json").stdout)
    assert (document["maps"], document["first_training"]["rows"]) == (40, 32)
    taken = run(command, tmp_path / "maps", "--dry-run")
    assert "it is a folder; name a file" in str(taken.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["maps"]
