"""The ceiling of a finding: what the same attack measured without protection."""

from __future__ import annotations

import math
from dataclasses import replace

from sfumato.types import Finding


def with_ceiling(finding: Finding, unprotected: Finding) -> Finding:
    """Return the finding with the ceiling, and its interval, that the same attack measured.

    The ceiling is NaN where that attack did not beat the floor: then it was too weak, or there is
    nothing to learn, and dividing by the span would flatter. Its interval is kept to be shown.

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
    return replace(
        finding,
        ceiling=unprotected.value if beaten else math.nan,
        ceiling_interval=unprotected.interval,
    )
