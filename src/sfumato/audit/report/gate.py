"""A limit on leakage for a pipeline: an error where it is not shown, and JUnit's XML either way.

A protection passes by the upper end of an attack's interval, not by its middle: what was not found
with few victims was not shown to be absent.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sfumato.audit.measure.cell import Cell
from sfumato.audit.measure.evidence import Evidence, victims_needed
from sfumato.audit.report.verdict import UNPROTECTED, untried
from sfumato.errors import ConfigError, GateError
from sfumato.printable import printable

Outcome = Literal["passed", "failure", "error", "skipped"]


@dataclass(frozen=True, slots=True)
class Case:
    """One protector under one attack, against the limit."""

    protector: str
    attack: str
    outcome: Outcome
    message: str
    seconds: float = 0.0


def gate_cases(cells: Sequence[Cell], limit: float) -> list[Case]:
    """Hold the upper end of every attack's leakage against the limit.

    A failure is a leakage above it, or a release that is an original, whatever the limit; an error
    is what was not shown: an attack that failed or is not measurable, or an interval that reaches
    above the limit. Only an attack without meaning for a release is skipped; a private label that
    nobody could try to read, and a protector of which nothing was measured, are errors too, never a
    pass. The unprotected release is not judged.

    Raises:
        ConfigError: the limit is no finite number.
    """
    check_limit(limit)
    judged = [c for c in cells if c.role == "privacy" and c.protector != UNPROTECTED]
    cases = [_case(cell, limit) for cell in judged]
    for name in dict.fromkeys(cell.protector for cell in judged):
        if all(case.outcome == "skipped" for case in cases if case.protector == name):
            cases.append(Case(name, "all attacks", "error", "nothing was measured"))
    return cases


def check_limit(limit: float) -> None:
    """Raise a ConfigError where a limit is none: nothing is above what is not a number."""
    if not math.isfinite(limit):
        raise ConfigError(f"`fail_above` is a number such as 0.2, got {limit}")


def _case(cell: Cell, limit: float) -> Case:
    outcome, message = _judged(cell, limit)
    return Case(cell.protector, cell.attack, outcome, message, cell.seconds)


def _judged(cell: Cell, limit: float) -> tuple[Outcome, str]:
    found = cell.evidence
    if found is None:
        if untried(cell):
            return "error", f"not tried: {cell.reason}"
        return ("error", cell.error) if cell.error else ("skipped", cell.reason or "")
    if cell.originals:
        return "failure", f"{cell.originals:,} of {cell.victims:,} releases are originals"
    if found.share is None or found.ends is None:
        return "error", found.why
    if found.share > limit:
        return "failure", f"leakage {found.share:.3f} is above {limit:g}"
    if found.upper > limit:
        return "error", _not_shown(found, cell.victims, limit)
    return "passed", f"leakage {found.share:.3f}, at most {found.upper:.3f}"


def _not_shown(found: Evidence, victims: int, limit: float) -> str:
    low, high = found.ends or (0.0, 0.0)
    needed = victims_needed(found, victims, limit)
    about = (
        "no number of victims would show it, the leakage is at the limit"
        if needed is None
        else f"about {needed:,} are needed"
    )
    return f"not shown: {victims:,} victims give an interval of {low:.3f} to {high:.3f}, {about}"


def junit(cases: Sequence[Case]) -> bytes:
    """Return the cases as JUnit's XML, which every CI service shows."""
    counts = {
        name: str(sum(case.outcome == outcome for case in cases))
        for name, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    suite = ET.Element("testsuite", {"name": "sfumato audit", "tests": str(len(cases)), **counts})
    for case in cases:
        about = {"classname": case.protector, "name": case.attack, "time": f"{case.seconds:.3f}"}
        entry = ET.SubElement(suite, "testcase", {k: printable(v) for k, v in about.items()})
        if case.outcome != "passed":
            ET.SubElement(entry, case.outcome, {"message": printable(case.message)})
    ET.indent(suite)
    content: bytes = ET.tostring(suite, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def check(cases: Sequence[Case], limit: float) -> None:
    """Raise a GateError that names what is above the limit, or not shown to be below it.

    What is a failure is named first.
    """
    bad = sorted(
        (case for case in cases if case.outcome in ("failure", "error")),
        key=lambda case: case.outcome != "failure",
    )
    if bad:
        named = "; ".join(f"{c.protector} under {c.attack}: {c.message}" for c in bad[:5])
        more = f"; and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise GateError(
            f"expected every leakage to be shown to be at most {limit:g} (`fail_above`); {named}"
            f"{more}; see report.html"
        )
