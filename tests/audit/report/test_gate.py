from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest

from sfumato.audit.report.gate import check, gate_cases, junit
from sfumato.errors import ConfigError, GateError
from tests.audit.findings import cell, copies

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
    found = {(case.protector, case.attack): case.outcome for case in gate_cases(_CELLS, 0.2)}
    assert found == {
        ("blur", "attributes:mood"): "failure",
        ("blur", "reconstruct"): "passed",
        ("blur", "bitstatistics"): "skipped",
        ("odd\x07<&", "attributes:mood"): "error",
        ("weak", "attributes:mood"): "error",
    }
    (nothing,) = (c for c in gate_cases([cell("p", "a", reason="no")], 0.2) if c.outcome == "error")
    assert (nothing.attack, nothing.message) == ("all attacks", "nothing was measured")


def test_a_private_label_that_nobody_tried_to_read_does_not_pass() -> None:
    cells = [
        cell("tag", "reconstruct", 0.0),
        cell("tag", "attributes:person", reason="no person is on both sides"),
        cell("tag", "attributes:person (trained on plain)", reason="no key"),
    ]
    found = {case.attack: (case.outcome, case.message) for case in gate_cases(cells, 0.2)}
    assert found["attributes:person"] == ("error", "not tried: no person is on both sides")
    assert found["attributes:person (trained on plain)"][0] == "skipped"
    with pytest.raises(GateError, match="not tried"):
        check(gate_cases(cells, 0.2), 0.2)


def test_the_error_names_what_is_wrong_and_a_good_audit_passes() -> None:
    with pytest.raises(
        GateError, match=r"blur under attributes:mood: leakage 0\.500 is above 0\.2"
    ):
        check(gate_cases(_CELLS, 0.2), 0.2)
    check(gate_cases(_CELLS[:5], 0.6), 0.6)


def test_the_upper_end_is_held_against_the_limit() -> None:
    """20 victims, 0.1 +- 0.2: 0.3 is above 0.2, and four times as many halve the interval."""
    (case,) = gate_cases([cell("blur", "reconstruct", 0.1, half=0.2, victims=20)], 0.2)
    assert case.outcome == "error"
    assert case.message == (
        "not shown: 20 victims give an interval of -0.100 to 0.300, about 80 are needed"
    )
    (case,) = gate_cases([cell("blur", "reconstruct", 0.1, half=0.09)], 0.2)
    assert case.outcome == "passed"
    (case,) = gate_cases([cell("blur", "reconstruct", 0.2, half=0.01)], 0.2 + 1e-9)
    assert case.outcome == "error"


@pytest.mark.parametrize("half", [0.0, 0.05])
def test_a_leakage_at_the_limit_passes_and_one_above_it_does_not(half: float) -> None:
    made = cell("blur", "reconstruct", 0.25, half=half)
    found = made.evidence
    assert found is not None
    assert found.share is not None
    at = max(found.share, found.upper)
    assert [case.outcome for case in gate_cases([made], at)] == ["passed"]
    assert [case.outcome for case in gate_cases([made], math.nextafter(at, 0))] != ["passed"]
    # A failure is what lies above by its middle; up to there it is only not shown.
    assert [case.outcome for case in gate_cases([made], math.nextafter(found.share, 0))] == [
        "failure"
    ]
    assert [case.outcome for case in gate_cases([made], found.share)] == [
        "error" if found.upper > found.share else "passed"
    ]


def test_what_no_attacker_could_read_unprotected_does_not_pass() -> None:
    (case,) = gate_cases([cell("weak", "attributes:mood")], 1.0)
    assert case.outcome == "error"
    assert case.message.startswith("not measurable: even without protection")


def test_one_original_fails_whatever_the_limit_and_is_named_first() -> None:
    cells = [cell("p", "attributes:mood", 0.5), cell("p", "x", error="broke"), copies("p", 1, 240)]
    cases = gate_cases(cells, 10.0)
    assert [case.outcome for case in cases] == ["passed", "error", "failure"]
    with pytest.raises(GateError, match=r"`fail_above`\); p under copies: 1 of 240 releases are"):
        check(cases, 10.0)


@pytest.mark.parametrize("limit", [math.nan, math.inf])
def test_a_limit_is_a_number(limit: float) -> None:
    with pytest.raises(ConfigError, match="`fail_above` is a number"):
        gate_cases(_CELLS, limit)


def test_junit_is_read_back_by_any_xml_reader() -> None:
    cases = gate_cases(_CELLS, 0.2)
    suite = ET.fromstring(junit(cases))
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["5", "1", "2", "1"]
    entries = suite.findall("testcase")
    assert entries[0].find("failure").get("message") == "leakage 0.500 is above 0.2"
    assert entries[0].get("time") == "1.500"
    assert entries[1].find("*") is None


@pytest.mark.parametrize(("count", "more"), [(5, ""), (6, "; and 1 more"), (9, "; and 4 more")])
def test_five_are_named_and_the_others_counted(count: int, more: str) -> None:
    cases = gate_cases([cell(f"p{i}", "reconstruct", 0.5) for i in range(count)], 0.2)
    with pytest.raises(GateError) as caught:
        check(cases, 0.2)
    text = str(caught.value)
    assert [f"p{i} under" in text for i in range(count)] == [i < 5 for i in range(count)]
    assert text.endswith(f"above 0.2{more}; see report.html")


def test_a_leakage_at_the_limit_needs_victims_without_end() -> None:
    made = cell("blur", "reconstruct", 0.25)
    assert made.evidence is not None
    assert made.evidence.share is not None
    (case,) = gate_cases([made], made.evidence.share)
    assert case.message.endswith("no number of victims would show it, the leakage is at the limit")
    (passed,) = gate_cases([made], 0.9)
    assert passed.message == "leakage 0.250, at most 0.300"
