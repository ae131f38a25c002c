"""What changed between two reports, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sfumato.audit.measure.cell import Cell
from sfumato.audit.measure.evidence import Role
from sfumato.audit.measure.jsonvalues import written
from sfumato.audit.report.report import Report

Change = Literal["better", "worse", "no clear change", "new", "gone", "not comparable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One protector under one attack, before and after."""

    protector: str
    attack: str
    role: Role
    before: float | None
    """Leakage, or for a use what is kept; None where it was not measured."""
    after: float | None
    change: Change


@dataclass(frozen=True, slots=True)
class Comparison:
    """All cells of two reports, and what makes the two less comparable."""

    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return {"lines": [asdict(line) for line in self.lines], "notes": list(self.notes)}


def compare(before: Report, after: Report) -> Comparison:
    """Compare leakage and utility; a change counts where the 95 % intervals do not overlap."""
    old, new = _cells(before), _cells(after)
    lines = tuple(_line(key, old.get(key), new.get(key)) for key in dict.fromkeys([*old, *new]))
    return Comparison(lines, tuple(_notes(before, after)))


def _cells(report: Report) -> Mapping[tuple[str, str, Role], Cell]:
    return {(cell.protector, cell.attack, cell.role): cell for cell in report.cells}


def _line(key: tuple[str, str, Role], old: Cell | None, new: Cell | None) -> Line:
    protector, attack, role = key
    return Line(
        protector=protector,
        attack=attack,
        role=role,
        before=_share(old),
        after=_share(new),
        change=_change(role, old, new),
    )


def _change(role: Role, old: Cell | None, new: Cell | None) -> Change:
    if old is None:
        return "new"
    if new is None:
        return "gone"
    ends = [None if c.evidence is None else c.evidence.ends for c in (old, new)]
    if ends[0] is None or ends[1] is None:
        return "not comparable"
    (low, high), (new_low, new_high) = ends[0], ends[1]
    if new_low <= high and low <= new_high:
        return "no clear change"
    return "better" if (new_low > high) == (role == "utility") else "worse"


def _share(cell: Cell | None) -> float | None:
    return None if cell is None or cell.evidence is None else cell.evidence.share


def _notes(before: Report, after: Report) -> list[str]:
    sides = {
        "victims": (before.data.victims, after.data.victims),
        "adversary": (before.data.adversary, after.data.adversary),
    }
    notes = [
        f"the pictures of the {side} are not the same"
        for side, (old, new) in sides.items()
        if old.fingerprint != new.fingerprint
    ]
    was, now = written(before.settings), written(after.settings)
    notes += [
        f"{name}: {was[name]} before, {now[name]} after"
        for name in ("seeds", "learners", "restarts", "epochs", "precision")
        if was[name] != now[name]
    ]
    if before.sfumato != after.sfumato:
        notes.append(f"sfumato {before.sfumato} before, {after.sfumato} after")
    return notes
