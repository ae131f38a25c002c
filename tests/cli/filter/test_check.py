"""`sfumato filter check` on a folder: a line a file, a count, and an exit status on request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sfumato.cli.main import app
from sfumato.errors import InputError
from sfumato.serve.local import add_files
from tests.serve.world import World


@pytest.fixture(scope="module")
def bank(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    mine = folder / "me.enrollment"
    mine.write_bytes(world.enrollments[0])
    add_files(str(folder / "my.db"), [mine], "ada")
    return folder / "my.db"


@pytest.fixture
def uploads(world: World, tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    (folder / "new").mkdir(parents=True)
    (folder / "a.png").write_bytes(world.png(0, 130))
    (folder / "new" / "b.png").write_bytes(world.png(1, 130))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    (folder / "out.png").symlink_to("/etc/hostname")
    return folder


def check(path: Path, bank: Path, world: World, *more: str) -> Result:
    words = ["filter", "check", str(path), "--db", str(bank), "--backbone"]
    return CliRunner().invoke(app, [*words, str(world.backbone_file), *more])


def test_every_file_gets_a_line_and_the_last_one_counts(
    uploads: Path, bank: Path, world: World
) -> None:
    done = check(uploads, bank, world, "--json")
    assert done.exit_code == 0, done.output
    *lines, total = map(json.loads, done.stdout.splitlines())
    found: dict[str, Any] = {line["file"]: line for line in lines}
    assert list(found) == ["out.png", "a.png", "broken.jpg", "new/b.png"]
    assert found["a.png"]["decision"] == "block"
    assert found["new/b.png"]["decision"] == "share"
    assert found["broken.jpg"]["decision"] is None
    assert "leads out" in found["out.png"]["reason"]
    assert total == {"files": 4, "shared": 1, "blocked": 1, "unreadable": 2}
    one = json.loads(check(uploads / "a.png", bank, world, "--json").stdout)
    assert {"file": "a.png", **one} == found["a.png"]


def test_the_text_says_the_same(uploads: Path, bank: Path, world: World) -> None:
    done = check(uploads, bank, world)
    assert "a.png: block: " in done.stdout
    assert "broken.jpg: unreadable: " in done.stdout
    assert done.stdout.splitlines()[-1] == "1 shared, 1 blocked, 2 unreadable of 4"


def test_the_exit_status_says_whether_any_is_blocked(
    uploads: Path, bank: Path, world: World
) -> None:
    asked = "--fail-if-blocked"
    assert check(uploads, bank, world, asked).exit_code == 1
    assert check(uploads / "a.png", bank, world, asked).exit_code == 1
    assert check(uploads, bank, world, asked, "--account", "ada").exit_code == 0
    assert check(uploads / "new", bank, world, asked).exit_code == 0


def test_an_empty_folder_is_an_error(tmp_path: Path, bank: Path, world: World) -> None:
    done = check(tmp_path, bank, world)
    assert isinstance(done.exception, InputError)
    assert "is empty" in str(done.exception)
