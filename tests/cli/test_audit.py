from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from sfumato.cli import app

_RUNNER = CliRunner()


def test_audit_of_handwritten_digits_ends_in_one_line_of_json(tmp_path: Path) -> None:
    command = ["audit", "--protector", "none", "--protector", "pixelate:8", "--data", "digits"]
    command += ["--private", "digit", "--count", "600", "--seeds", "1", "--quick", "--json"]
    result = _RUNNER.invoke(app, [*command, "--device", "cpu", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    cells = {c["protector"]: c for c in json.loads(result.stdout)["cells"]}
    assert cells["none"]["finding"]["value"] > 0.85
    assert cells["pixelate:8"]["leakage"] < 0.4
    page = tmp_path / "page.html"
    again = _RUNNER.invoke(
        app, ["report", str(tmp_path / "report.json"), "--out", str(page), "--json"]
    )
    assert again.exit_code == 0
    assert page.read_text() == (tmp_path / "report.html").read_text()


def test_people_are_kept_apart_and_verified(tmp_path: Path) -> None:
    command = ["audit", "--protector", "pixelate:8", "--data", "digits", "--identity", "digit"]
    command += ["--attack", "verify", "--count", "300", "--seeds", "1", "--quick", "--json"]
    result = _RUNNER.invoke(app, [*command, "--device", "cpu", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["data"]["disjoint"] == "no digit is on both sides"
    (cell,) = report["cells"]
    assert cell["finding"]["ceiling"] > cell["finding"]["value"] + 0.1
    assert cell["finding"]["metric"] == "auc"


def test_an_attack_that_does_not_exist_is_named(tmp_path: Path) -> None:
    command = ["audit", "--protector", "none", "--data", "digits", "--attack", "guess"]
    result = _RUNNER.invoke(app, [*command, "--count", "50", "--out", str(tmp_path)])
    assert result.exit_code != 0
    assert "guess" in str(result.exception)
