from __future__ import annotations

import json
import re
import shlex
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from sfumato.audit.measure.cells import NO_KEY, PLAIN
from sfumato.audit.report.schema import report_schema
from sfumato.cli import app
from sfumato.cli.audit import table
from sfumato.errors import ConfigError, GateError
from sfumato.protect.anonymizer.model import Anonymizer
from tests.audit.findings import cell, report

_RUNNER = CliRunner()


def test_audit_of_handwritten_digits_ends_in_one_line_of_json(tmp_path: Path) -> None:
    command = ["audit", "--protector", "none", "--protector", "pixelate:8", "--data", "digits"]
    command += [
        "--private",
        "digit",
        "--count",
        "600",
        "--seeds",
        "1",
        "--quick",
        "--json",
        "--only",
    ]
    result = _RUNNER.invoke(app, [*command, "--device", "cpu", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    jsonschema.validate(document, report_schema())
    cells = {c["protector"]: c for c in document["cells"] if c["attack"] == "attributes:digit"}
    assert cells["none"]["finding"]["value"] > 0.85
    assert cells["pixelate:8"]["leakage"] < 0.4
    page = tmp_path / "page.html"
    again = _RUNNER.invoke(
        app, ["report", "render", str(tmp_path / "report.json"), "--out", str(page), "--json"]
    )
    assert again.exit_code == 0
    without_ids = [
        re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", path.read_text())
        for path in (page, tmp_path / "report.html")
    ]
    assert without_ids[0] == without_ids[1]
    same = _RUNNER.invoke(app, ["report", "compare", *[str(tmp_path / "report.json")] * 2])
    assert same.exit_code == 0
    assert same.output.count("no clear change") == len(document["cells"])


@pytest.mark.slow
def test_a_file_says_what_flags_say_and_the_report_names_the_command(tmp_path: Path) -> None:
    config = tmp_path / "audit.toml"
    config.write_text(
        'protector = ["pixelate:8"]\ndata = "digits"\nprivate = ["digit"]\ncount = 300\n'
        f'seeds = 2\nquick = true\nonly = true\nfail-above = 0.99\nout = "{tmp_path / "a"}"\n'
    )
    first = _RUNNER.invoke(
        app, ["audit", "--config", str(config), "--seeds", "1", "--device", "cpu", "--json"]
    )
    assert first.exit_code == 0, first.output
    document = json.loads(first.stdout)
    assert document["settings"]["seeds"] == [0]
    words = shlex.split(document["settings"]["command"])
    assert words[:1] != []
    flags = words[words.index("--protector") :]
    flags[flags.index(str(tmp_path / "a"))] = str(tmp_path / "b")
    second = _RUNNER.invoke(app, ["audit", *flags, "--device", "cpu", "--json"])
    assert second.exit_code == 0, second.output
    keys = [[c["key"] for c in json.loads(r.stdout)["cells"]] for r in (first, second)]
    assert keys[0] == keys[1]
    assert ET.parse(tmp_path / "a" / "junit.xml").getroot().get("failures") == "0"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("protectors = []", "none of"),
        ("protector = 'none'", "a list"),
        ("count = [1]", "one value"),
        ("count = {a = 1}", "one value"),
        ("= 1", "no TOML"),
        (b"\xff", "no TOML"),
        (None, "cannot read"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(
    tmp_path: Path, content: str | bytes | None, match: str
) -> None:
    path = tmp_path / "audit.toml"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    result = _RUNNER.invoke(app, ["audit", "--config", str(path)])
    assert isinstance(result.exception, ConfigError)
    assert match in str(result.exception)


def test_a_leak_above_the_limit_fails_after_the_report_is_written(tmp_path: Path) -> None:
    command = ["audit", "--protector", "blur:0.5", "--data", "digits", "--private", "digit"]
    command += ["--count", "300", "--seeds", "1", "--quick", "--only", "--device", "cpu"]
    result = _RUNNER.invoke(app, [*command, "--fail-above", "0.2", "--out", str(tmp_path)])
    assert isinstance(result.exception, GateError)
    assert result.exception.exit_code == 8
    assert "blur:0.5 under attributes:digit" in str(result.exception)
    assert "the weaker attackers of --quick: a look, not evidence" in result.stderr
    assert (tmp_path / "report.html").is_file()
    assert ET.parse(tmp_path / "junit.xml").getroot().get("failures") == "2"


def test_what_has_no_meaning_is_said_once_a_reason() -> None:
    shown = table(
        report(
            cell("none", "attributes:mood", 1.0),
            cell("none", "bitstatistics", reason="no moved bits"),
            cell("none", "reidentify:person", reason="nobody is known by name"),
            cell("none", f"attributes:mood{PLAIN}", reason=NO_KEY),
            cell("sealed", "attributes:mood", error="RuntimeError: out of luck"),
            cell("sealed", "bitstatistics", 0.0),
            cell("sealed", "reidentify:person", reason="nobody is known by name"),
            cell("sealed", f"reidentify:person{PLAIN}", reason="nobody is known by name"),
            cell("blur:2", "bitstatistics", reason="no moved bits"),
        )
    )
    assert "  bitstatistics (all but sealed): no moved bits\n" in shown
    assert "  reidentify:person (all but blur:2): nobody is known by name\n" in shown
    assert shown.count("nobody is known by name") == 1
    assert NO_KEY not in shown
    assert re.search(r"^sealed +attributes:mood +failed: RuntimeError: out of luck$", shown, re.M)
    assert re.search(r"^sealed +bitstatistics( +-?\d\.\d+){5} to \d\.\d+$", shown, re.M)


@pytest.mark.slow
def test_people_are_kept_apart_and_verified(tmp_path: Path) -> None:
    command = ["audit", "--protector", "pixelate:8", "--data", "digits", "--identity", "digit"]
    command += [
        "--attack",
        "verify",
        "--count",
        "300",
        "--seeds",
        "1",
        "--quick",
        "--json",
        "--only",
    ]
    result = _RUNNER.invoke(app, [*command, "--device", "cpu", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["data"]["disjoint"] == "no digit is on both sides"
    (cell,) = (cell for cell in document["cells"] if cell["attack"] == "verify")
    assert cell["finding"]["ceiling"] > cell["finding"]["value"] + 0.1
    assert cell["finding"]["metric"] == "auc"


def test_an_attack_that_does_not_exist_is_named(tmp_path: Path) -> None:
    command = ["audit", "--protector", "none", "--data", "digits", "--attack", "guess"]
    result = _RUNNER.invoke(app, [*command, "--count", "50", "--out", str(tmp_path)])
    assert result.exit_code != 0
    assert "guess" in str(result.exception)


def _fitted(folder: Path, side: int, channels: int = 1) -> str:
    made = Anonymizer(
        channels=channels, height=side, width=side, hides="glasses", lam=1.0, features=2, code=2
    )
    made.save_pretrained(folder)
    return str(folder)


def test_pictures_are_read_as_a_fitted_protector_takes_them(tmp_path: Path) -> None:
    """The drawn faces have colour and more pixels than the protector takes."""
    grey = _fitted(tmp_path / "grey", 16)
    command = ["audit", "--protector", grey, "--protector", "none", "--data", "characters:6"]
    command += ["--count", "60", "--private", "glasses", "--only", "--seeds", "1", "--quick"]
    done = _RUNNER.invoke(
        app, [*command, "--device", "cpu", "--json", "--out", str(tmp_path / "audit")]
    )
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert [c["error"] for c in document["cells"] if c["error"]] == []
    assert document["data"]["victims"]["shape"] == [1, 16, 16]


def test_protectors_of_other_shapes_are_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    small, large = _fitted(tmp_path / "small", 16), _fitted(tmp_path / "large", 24, channels=3)
    command = ["audit", "--data", "nothing", "--out", str(tmp_path / "audit")]
    both = _RUNNER.invoke(app, [*command, "--protector", small, "--protector", large])
    assert re.search("16x16 grey; .*24x24 RGB", str(both.exception))
    other = _RUNNER.invoke(app, [*command, "--protector", small, "--size", "24"])
    assert "16x16; got 24" in str(other.exception)
