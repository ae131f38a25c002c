from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from sfumato.audit.gate import check, judge, junit
from sfumato.errors import GateError
from tests.audit.findings import cell

_CELLS = [
    cell("none", "attributes:mood", 1.0),
    cell("blur", "attributes:mood", 0.5),
    cell("blur", "reconstruct", 0.1),
    cell("blur", "bitstatistics", reason="no moved bits"),
    cell("blur", "quality", 0.9, role="utility"),
    cell("odd\x07<&", "attributes:mood", error='it "broke"\x00'),
    cell("weak", "attributes:mood"),
]


def test_every_cell_is_judged_for_what_it_is() -> None:
    found = {(case.protector, case.attack): case.outcome for case in judge(_CELLS, 0.2)}
    assert found == {
        ("blur", "attributes:mood"): "failure",
        ("blur", "reconstruct"): "passed",
        ("blur", "bitstatistics"): "skipped",
        ("odd\x07<&", "attributes:mood"): "error",
        ("weak", "attributes:mood"): "skipped",
        ("weak", "all attacks"): "error",
    }


def test_the_error_names_what_is_wrong_and_a_good_audit_passes() -> None:
    with pytest.raises(
        GateError, match=r"blur under attributes:mood: leakage 0\.500 is above 0\.2"
    ):
        check(judge(_CELLS, 0.2), 0.2)
    check(judge(_CELLS[:5], 0.6), 0.6)


def test_a_limit_is_reached_but_not_exceeded() -> None:
    (case,) = judge([cell("blur", "reconstruct", 0.25)], 0.25 + 1e-9)
    assert case.outcome == "passed"


def test_junit_is_read_back_by_any_xml_reader() -> None:
    cases = judge(_CELLS, 0.2)
    suite = ET.fromstring(junit(cases))
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["6", "1", "2", "2"]
    entries = suite.findall("testcase")
    assert entries[0].find("failure").get("message") == "leakage 0.500 is above 0.2"
    assert entries[0].get("time") == "1.500"
    assert entries[1].find("*") is None
