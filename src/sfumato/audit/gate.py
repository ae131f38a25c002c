"""A limit on leakage for a pipeline: an error where it is exceeded, and JUnit's XML either way."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sfumato.audit.cell import Cell
from sfumato.audit.metrics import leakage
from sfumato.audit.verdict import UNPROTECTED
from sfumato.errors import GateError

Outcome = Literal["passed", "failure", "error", "skipped"]


@dataclass(frozen=True, slots=True)
class Case:
    """One protector under one attack, against the limit."""

    protector: str
    attack: str
    outcome: Outcome
    message: str
    seconds: float = 0.0


def judge(cells: Sequence[Cell], limit: float) -> list[Case]:
    """Hold every attack's leakage against the limit; the unprotected release is not judged.

    An attack that failed is an error, one without meaning or without a defined leakage is
    skipped; a protector of which nothing was measured is an error too, never a pass.
    """
    judged = [c for c in cells if c.role == "privacy" and c.protector != UNPROTECTED]
    cases = [_case(cell, limit) for cell in judged]
    for name in dict.fromkeys(cell.protector for cell in judged):
        if all(case.outcome == "skipped" for case in cases if case.protector == name):
            cases.append(Case(name, "all attacks", "error", "nothing was measured"))
    return cases


def _case(cell: Cell, limit: float) -> Case:
    def case(outcome: Outcome, message: str) -> Case:
        return Case(cell.protector, cell.attack, outcome, message, cell.seconds)

    if cell.finding is None:
        return case("error", cell.error) if cell.error else case("skipped", cell.reason or "")
    found = leakage(cell.finding)
    if found is None:
        return case("skipped", "even the unprotected release gives nothing: leakage is undefined")
    if found > limit:
        return case("failure", f"leakage {found:.3f} is above {limit:g}")
    return case("passed", f"leakage {found:.3f}")


def junit(cases: Sequence[Case]) -> bytes:
    """Return the cases as JUnit's XML, which every CI service shows."""
    counts = {
        name: str(sum(case.outcome == outcome for case in cases))
        for name, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    suite = ET.Element("testsuite", {"name": "sfumato audit", "tests": str(len(cases)), **counts})
    for case in cases:
        about = {"classname": case.protector, "name": case.attack, "time": f"{case.seconds:.3f}"}
        entry = ET.SubElement(suite, "testcase", {k: _legal(v) for k, v in about.items()})
        if case.outcome != "passed":
            ET.SubElement(entry, case.outcome, {"message": _legal(case.message)})
    ET.indent(suite)
    content: bytes = ET.tostring(suite, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def check(cases: Sequence[Case], limit: float) -> None:
    """Raise a GateError that names what is above the limit or could not be measured."""
    bad = [case for case in cases if case.outcome in ("failure", "error")]
    if bad:
        named = "; ".join(f"{c.protector} under {c.attack}: {c.message}" for c in bad[:5])
        more = f"; and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise GateError(
            f"expected every leakage to be measured and at most {limit:g} (--fail-above); {named}"
            f"{more}; see report.html"
        )


def _legal(text: str) -> str:
    """Return text without the characters that XML has no way to write."""
    return "".join(c if c.isprintable() else " " for c in text)
