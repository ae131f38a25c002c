"""An audit as a table, as figures, and the schema that says what a report is."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from sfumato import extras
from sfumato.attack.verify import VerificationDetails
from sfumato.audit.report.figures import write_figures
from sfumato.audit.report.report import Report
from sfumato.audit.report.schema import report_schema
from sfumato.cli.main import app
from sfumato.errors import ConfigError, InputError, UnavailableError
from sfumato.types import Details, RocCurve
from tests.audit.findings import cell, copies, report

ROOT = Path(__file__).parents[3]


@pytest.fixture
def audited() -> Report:
    matched = cell("blur", "verify", 0.5)
    assert matched.finding is not None
    details = Details(roc=RocCurve(far=(0.0, 0.5, 1.0), tar=(0.0, 0.8, 1.0)))
    matched = replace(matched, finding=replace(matched.finding, details=details))
    return report(
        cell("blur", "attribute:mood", 0.25),
        cell("none", "attribute:mood", 1.0),
        matched,
        cell("blur", "digit", 0.9, role="utility"),
        cell("blur", "reconstruct", reason="a release without a shape"),
        cell("blur", "membership", error="no memory"),
        cell("blur", "linkage"),
        copies("blur", 3),
    )


def test_a_table_has_a_row_a_cell(audited: Report, tmp_path: Path) -> None:
    path = audited.write(tmp_path)
    out = {name: tmp_path / f"audit.{name}" for name in ("csv", "parquet")}
    words = ["report", "export", str(path), "--csv", str(out["csv"]), "--parquet"]
    done = CliRunner().invoke(app, [*words, str(out["parquet"]), "--json"])
    assert json.loads(done.stdout) == {"files": [str(out["csv"]), str(out["parquet"])]}
    rows = pq.read_table(out["parquet"]).to_pylist()
    assert len(rows) == len(audited.cells)
    first = rows[0]
    assert (first["protector"], first["attack"], first["role"]) == (
        "blur",
        "attribute:mood",
        "privacy",
    )
    assert first["leakage"] == pytest.approx(0.25)
    assert first["leakage_low"] < 0.25 < first["leakage_high"]
    assert (first["shown"], first["seeds"], first["victims"]) == (True, 1, 100)
    assert rows[4]["reason"] == "a release without a shape"
    assert rows[5]["error"] == "no memory"
    assert rows[6]["leakage"] is None
    assert rows[6]["ceiling"] is None
    assert rows[7]["originals"] == 3
    with out["csv"].open(newline="") as stream:
        read = list(csv.DictReader(stream))
    assert [row["attack"] for row in read] == [row["attack"] for row in rows]
    assert float(read[0]["leakage"]) == first["leakage"]


def test_figures_are_svg_with_text_and_the_same_each_time(audited: Report, tmp_path: Path) -> None:
    written = write_figures(audited, tmp_path / "figures")
    names = [path.name for path in written]
    assert {"privacy.svg", "utility.svg", "privacy-verify-roc.svg"} <= {*names}
    assert "privacy-attribute-mood.svg" in names
    text = (tmp_path / "figures" / "privacy.svg").read_text()
    ET.fromstring(text)
    assert ">blur, attribute:mood<" in text
    before = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in write_figures(audited, tmp_path / "figures")] == before
    (tmp_path / "figures" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        write_figures(audited, tmp_path / "figures")


def test_without_matplotlib_the_extra_is_named(
    audited: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = extras.find_spec

    def without(name: str, *rest: Any) -> Any:
        return None if name == "matplotlib" else there(name, *rest)

    monkeypatch.setattr(extras, "find_spec", without)
    with pytest.raises(UnavailableError, match=r"sfumato\[report\]"):
        write_figures(audited, tmp_path / "figures")


def test_nothing_asked_for_is_an_error(audited: Report, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", "export", str(audited.write(tmp_path))])
    assert isinstance(done.exception, ConfigError)


def test_the_published_schema_is_the_types_own() -> None:
    page = ROOT / "docs" / "report.schema.json"
    printed = CliRunner().invoke(app, ["report", "schema"]).stdout
    assert json.loads(page.read_text()) == json.loads(printed) == report_schema(), (
        "run: sfumato report schema > docs/report.schema.json"
    )
    jsonschema.Draft202012Validator.check_schema(report_schema())


def valid(document: dict[str, Any]) -> bool:
    return jsonschema.Draft202012Validator(report_schema()).is_valid(document)


def test_reports_fit_the_schema_and_what_is_changed_does_not(audited: Report) -> None:
    document = json.loads(json.dumps(audited.document(), allow_nan=False))
    jsonschema.validate(document, report_schema())
    for change in (
        {"schema": 1},
        {"created": 5},
        {"more": 1},
        {"cells": [{}]},
        {"cells": [document["cells"][0] | {"role": "other"}]},
        {"cells": [document["cells"][0] | {"finding": {"value": 1}}]},
    ):
        assert not valid(document | change), change
    for name in document:
        assert not valid({key: value for key, value in document.items() if key != name}), name


def test_details_are_those_of_their_kind(audited: Report) -> None:
    document = json.loads(json.dumps(audited.document(), allow_nan=False))
    details = document["cells"][0]["finding"]["details"]
    assert details["kind"] == Details.kind
    details["kind"] = VerificationDetails.kind
    assert not valid(document)
    details |= {"kind": "theirs", "anything": [1, {}]}
    assert valid(document)


def test_the_curve_of_a_guess_is_the_diagonal(
    audited: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {}

    def kept(figure: Figure, path: Path, **_: Any) -> None:
        found = figure.axes[0].get_lines()
        lines[path.name] = {str(line.get_label()): line.get_xydata().tolist() for line in found}
        path.touch()

    monkeypatch.setattr(Figure, "savefig", kept)
    write_figures(audited, tmp_path / "figures")
    roc = lines["privacy-verify-roc.svg"]
    assert roc["guessing"] == [[0, 0], [1, 1]]
    (other,) = roc.keys() - {"guessing"}
    assert roc[other] == [[0, 0], [0.5, 0.8], [1, 1]]
