"""What an audit says of a finding: leakage and its interval, and whether it is at the floor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from sfumato.types import Finding

_ROUNDING = 1e-6  # figures are float32 sums; 0.1 is not the same number in all of them


def with_ceiling(finding: Finding, unprotected: Finding) -> Finding:
    """Return the finding with the ceiling that the same attack measured without protection.

    The ceiling is NaN, and the leakage undefined, where that attack did not beat the floor: then
    it was too weak, or there is nothing to learn, and dividing by the span would flatter.

    Raises:
        ValueError: the two are of different attacks or metrics.
    """
    if (finding.attack, finding.metric) != (unprotected.attack, unprotected.metric):
        raise ValueError(
            f"{finding.attack}/{finding.metric} has no ceiling in "
            f"{unprotected.attack}/{unprotected.metric}"
        )
    upwards = finding.ceiling >= finding.floor
    beaten = unprotected.value > finding.floor if upwards else unprotected.value < finding.floor
    return replace(finding, ceiling=unprotected.value if beaten else math.nan)


def leakage(finding: Finding) -> float | None:
    """Return (value - floor) / (ceiling - floor), or None where it is undefined.

    It may lie a little outside [0, 1]: both ends are measurements.
    """
    value = finding.leakage
    return value if math.isfinite(value) else None


def leakage_interval(finding: Finding) -> tuple[float, float] | None:
    """Return the 95 % interval of the leakage, floor and ceiling taken as fixed."""
    span = finding.ceiling - finding.floor
    if not span or not math.isfinite(span):
        return None
    ends = sorted((end - finding.floor) / span for end in finding.interval)
    return ends[0], ends[1]


def at_floor(finding: Finding) -> bool:
    """Return whether the interval holds the floor, or lies beyond it on the harmless side."""
    ends = leakage_interval(finding)
    if ends is None:
        return finding.interval[0] <= finding.floor <= finding.interval[1]
    return ends[0] <= _ROUNDING


def worst(findings: Sequence[Finding]) -> Finding | None:
    """Return the finding with the highest leakage: what an adversary who picks the attack gets."""
    defined = [finding for finding in findings if leakage(finding) is not None]
    return max(defined, key=lambda finding: finding.leakage, default=None)
