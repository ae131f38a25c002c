"""`sfumato filter try`: three folders, one command, one page."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sfumato.cli.main import app
from sfumato.data.decoding.decode import decode_image, encode_png
from sfumato.errors import InputError
from sfumato.filter.oneclass import OneClassConfig
from sfumato.serve.tryout.run import FILES
from tests.cli.filter.test_calibrate import QUICK, album
from tests.cli.filter.test_root import line

NEW = 4


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """One person of an album enrolls, another one and the first one's new pictures are uploads."""
    root = tmp_path_factory.mktemp("people")
    public = album(root / "public", 62)
    mine, uploads = root / "mine", root / "uploads"
    uploads.mkdir()
    (public / "p000").rename(mine)
    for i, picture in enumerate(sorted(mine.iterdir())):  # else all would be one picture
        light = decode_image(picture.read_bytes()) * (0.6 + 0.05 * i)
        picture.write_bytes(encode_png(light.byte()))
    (public / "p001").rename(uploads / "a <b>")
    (uploads / "my-new").mkdir()
    for picture in sorted(mine.iterdir())[1 :: 9 // NEW]:
        picture.rename(uploads / "my-new" / picture.name)
    (uploads / "my-new" / "notes.txt").write_text("no picture")
    return mine, public, uploads


def tried(folders: tuple[Path, Path, Path], out: Path, *more: object) -> dict[str, Any]:
    return line("try", *folders, "-o", out, "--backbone", "raw:1x8x8", *QUICK, *more)


def test_three_folders_become_one(
    folders: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = OneClassConfig(least_steps=60)  # the default takes half a minute
    monkeypatch.setattr("sfumato.filter.calibrate.measure.OneClassConfig", lambda: quick)
    out = tmp_path / "trial"
    found = tried(folders, out, "--training", "plain")
    assert found["enrolled"] == 9 - NEW
    assert found["folders"]["a <b>"] == {"judged": 9, "blocked": 0}
    assert found["folders"]["my-new"]["judged"] == NEW
    assert found["folders"]["my-new"]["blocked"] >= NEW - 1
    assert (found["judged"], found["unreadable"]) == (9 + NEW, 1)
    assert {path.name for path in out.iterdir()} <= {*FILES}
    for name in ("report.html", "decisions.csv", "owner.pem"):
        assert (out / name).stat().st_mode & 0o777 == 0o600, name
    with (out / "decisions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert sum(row["decision"] == "block" for row in rows) == found["blocked"]
    # The single commands say the same of the same bank.
    words = ("check", folders[2], "--db", out / "bank.db", "--backbone", out / "public.backbone")
    again = CliRunner().invoke(app, ["filter", *map(str, words), "--json"])
    lines = [json.loads(text) for text in again.stdout.splitlines()]
    assert lines[-1]["blocked"] == found["blocked"]
    page(out / "report.html", found)


def page(path: Path, found: dict[str, Any]) -> None:
    text = path.read_text()
    assert f"{found['blocked']} of 13 uploads would be blocked" in text
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
    assert not re.search(r"<script|https?://|(?:src|href)=\"(?!data:|#)", text)
    assert text.count("data:image/png;base64") == 13
    assert "a &lt;b&gt;" in text
    assert "a <b>" not in text
    assert "1 file unreadable" in text


def test_what_cannot_be_done_leaves_nothing(
    folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    empty, out = tmp_path / "empty", tmp_path / "out"
    empty.mkdir()
    with_none = ["filter", "try", str(folders[0]), str(folders[1]), str(empty)]
    words = [*with_none, "-o", str(out), "--backbone", "raw:1x8x8", *map(str, QUICK)]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, InputError)
    assert "is empty; expected pictures that somebody uploads" in str(done.exception)
    assert not out.exists()
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(AssertionError, match="holds other files"):
        tried(folders, out)
    assert (out / "thesis.txt").read_text() == "mine"
