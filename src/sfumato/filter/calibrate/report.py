"""A calibration in words and numbers: a table for people, a document for scripts, and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sfumato.counted import counted
from sfumato.filter.calibrate.calibrate import Calibration
from sfumato.filter.calibrate.trial import Rates, Size

COARSE: Final = 1000
"""Public pictures below which an anchor, the lowest hundredth of them, is a few of them."""
FEW_PEOPLE: Final = 300
"""Strangers below which a hundredth of them is one or two."""
APART: Final = 0.5
"""Share of new pictures blocked below which an extractor does not tell people apart."""
_CELL = 20


def table(found: Calibration) -> str:
    """Return what banks of each size block, in per cent, under our rule and the paper's."""
    sizes = found.trial.sizes
    measured = [size for size in sizes if not size.extrapolated]
    simulated = found.honesty is not None
    what = "strangers' uploads blocked (95 % interval)"
    what += " / new pictures of enrolled people blocked" if simulated else ""
    lines = [
        f"per cent: {what}",
        _line("enrolled", [f"promise {_asked_for(r.threshold)}" for r in sizes[0].calibrated]),
        *(
            _line(_named(s), list(map(_cell, s.calibrated)))
            for s in (sizes if simulated else measured)
        ),
        "the paper's interval, mu + alpha sigma, on the same pictures",
        _line("enrolled", [f"alpha {r.threshold:g}" for r in sizes[0].paper]),
        *(_line(_named(s), list(map(_cell, s.paper))) for s in measured),
    ]
    if simulated and len(measured) < len(sizes):
        lines.append("* beyond the trial: extrapolated by the power law of the strangers' tail")
    return "\n".join(lines)


def promise(found: Calibration) -> str:
    """Return what a bank with this policy does, in one or two sentences."""
    policy, rates = found.policy, _asked(found)
    said = (
        f"At most {_asked_for(policy.false_blocks)} % of strangers' uploads are blocked, at any "
        f"number of enrollments; measured with {found.enrolled:,}: {_percent(rates.strangers)} % "
        f"of those of {counted(found.strangers, 'person', 'people')} ({_range(rates)})."
    )
    if found.honesty is None:
        return said
    return (
        f"{said} Of new pictures of enrolled people {_percent(rates.enrolled)} % are blocked, with "
        f"{counted(found.enrolled, 'person', 'people')} enrolled with "
        f"{found.config.pictures} pictures each. Enrollments are contested below a likeness of "
        f"{policy.contested:g}: that finds "
        f"{_percent(found.honesty.attackers)} % of simulated attackers who know no screening, and "
        f"touches {_percent(found.honesty.honest)} % of honest people."
    )


def warnings(found: Calibration) -> list[str]:
    """Return what whoever relies on the policy has to know."""
    rates, target, said = _asked(found), found.policy.false_blocks, []
    if rates.enrolled is not None and rates.enrolled < APART:
        said.append(
            f"this extractor does not tell these people apart: at {_asked_for(target)} % false "
            f"blocks only {_percent(rates.enrolled)} % of the enrolled people's new pictures are "
            "blocked; take an extractor that was trained for such pictures (for faces the kind "
            "face, else timm:NAME or onnx:PATH), or let people enroll more pictures"
        )
    if rates.interval is not None and rates.interval[0] > target:
        said.append(
            f"the measured false-block rate, {_percent(rates.strangers)} % ({_range(rates)}), is "
            f"above the promised {_asked_for(target)} %: promise less than is allowed, or give "
            "public pictures that are more like the uploads"
        )
    if found.honesty is not None and found.uploads < found.config.uploads:
        said.append(
            f"few people have {found.config.pictures + found.config.uploads} pictures: some of "
            f"those who enroll upload only {counted(found.uploads, 'new one')}"
        )
    if len(found.policy.cohort) < COARSE or found.strangers < FEW_PEOPLE:
        said.append(
            f"the limits rest on {len(found.policy.cohort):,} public pictures, and the measured "
            f"rates on {found.strangers:,} people: with fewer than {COARSE:,} pictures or "
            f"{FEW_PEOPLE:,} people they are coarse; give more public pictures"
        )
    return said


def document(found: Calibration) -> dict[str, Any]:
    """Return everything that was measured, as JSON values."""
    honesty = found.honesty
    return {
        "policy": {**found.policy.document(), "cohort": len(found.policy.cohort)},
        "enrolled": found.enrolled,
        "pictures": None if honesty is None else found.config.pictures,
        "strangers": found.strangers,
        "measured_cohort": found.measured_cohort,
        "sizes": [
            {
                "enrollments": size.enrollments,
                "extrapolated": size.extrapolated,
                "calibrated": [_rates(rates, "promise") for rates in size.calibrated],
                "paper": [_rates(rates, "alpha") for rates in size.paper],
            }
            for size in found.trial.sizes
        ],
        "honest_contested": None if honesty is None else honesty.honest,
        "attackers_found": None if honesty is None else honesty.attackers,
        "warnings": warnings(found),
    }


def _asked(found: Calibration) -> Rates:
    """Return what the whole trial's bank blocks at the rate that was asked for."""
    size = next(s for s in found.trial.sizes if s.enrollments == found.enrolled)
    return next(r for r in size.calibrated if r.threshold == found.policy.false_blocks)


def _rates(rates: Rates, threshold: str) -> dict[str, Any]:
    return {
        threshold: rates.threshold,
        "false_blocks": rates.strangers,
        "interval": rates.interval,
        "blocked": rates.enrolled,
    }


def _named(size: Size) -> str:
    return f"{size.enrollments:,}{'*' if size.extrapolated else ''}"


def _line(name: str, cells: Sequence[str]) -> str:
    return f"{name:>12}" + "".join(f"{cell:>{_CELL}}" for cell in cells)


def _cell(rates: Rates) -> str:
    parts = []
    if rates.strangers is not None and rates.interval is not None:
        parts.append(f"{_percent(rates.strangers)} ({_range(rates)})")
    if rates.enrolled is not None:
        parts.append(f"{100 * rates.enrolled:.0f}")
    return " / ".join(parts)


def _range(rates: Rates) -> str:
    return "-".join(map(_percent, rates.interval or ()))


def _asked_for(share: float) -> str:
    return f"{100 * share:g}"


def _percent(share: float | None) -> str:
    """Return a share in per cent, with one digit after the point below ten."""
    if share is None:
        return "?"
    return f"{100 * share:.0f}" if share >= 0.1 or share in (0, 1) else f"{100 * share:.1f}"
