"""Findings, cells and reports made up for tests of what is said about them."""

from __future__ import annotations

import math
from dataclasses import replace

from sfumato.audit.measure.about import Data, Settings, Side
from sfumato.audit.measure.cell import Cell
from sfumato.audit.measure.evidence import Role
from sfumato.audit.report.report import Report
from sfumato.types import Details, Finding


def finding(value: float, interval: tuple[float, float], ceiling: float = 0.9) -> Finding:
    return Finding(
        attack="a",
        protector="p",
        metric="m",
        value=value,
        floor=0.5,
        ceiling=ceiling,
        interval=interval,
        seeds=(0,),
        ceiling_interval=(ceiling, ceiling) if math.isfinite(ceiling) else (0.4, 0.6),
    )


def cell(
    protector: str,
    attack: str,
    share: float | None = None,
    *,
    half: float = 0.05,
    role: Role = "privacy",
    reason: str | None = None,
    error: str | None = None,
    victims: int = 100,
) -> Cell:
    """A cell with a leakage of `share` +- `half`; without a share and words it is unmeasurable."""
    found = None
    if share is not None:
        found = finding(0.5 + 0.4 * share, (0.5 + 0.4 * (share - half), 0.5 + 0.4 * (share + half)))
    elif reason is None and error is None:
        found = finding(0.5, (0.4, 0.6), ceiling=float("nan"))
    return Cell(
        protector=protector,
        attack=attack,
        role=role,
        key=f"{protector}{attack}",
        victims=victims,
        seconds=1.5,
        finding=found,
        reason=reason,
        error=error,
    )


def copies(protector: str, originals: int, victims: int = 100) -> Cell:
    """A cell in which so many releases are originals."""
    share = originals / victims
    made = cell(protector, "copies", share, victims=victims)
    assert made.finding is not None
    found = replace(made.finding, details=Details(originals=originals))
    return replace(made, finding=found)


def report(*cells: Cell, fingerprint: str = "ab", seeds: tuple[int, ...] = (0,)) -> Report:
    side = Side(name="blobs", count=8, shape=(1, 8, 8), fingerprint=fingerprint)
    settings = Settings(
        private=("mood",),
        utility=(),
        attacks=(),
        identity=None,
        seeds=seeds,
        protectors=tuple(dict.fromkeys(cell.protector for cell in cells)),
        keyed=(),
        learners=("probe",),
        restarts=1,
        epochs=2,
        precision="no",
    )
    return Report(
        created="2026-01-02T03:04:05+00:00",
        sfumato="0",
        data=Data(victims=side, adversary=side, disjoint="no picture is on both sides"),
        cells=cells,
        settings=settings,
        environment={"python": "3"},
    )
