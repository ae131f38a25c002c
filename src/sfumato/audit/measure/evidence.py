"""What a finding shows: how much is learned or kept, how surely, or that it shows nothing.

Every word, colour and limit of an audit is decided by what this file returns.

A figure says how well an attack did, and nothing of how well it could have done. So a finding
counts only where the same attack on an unprotected release beat its floor for sure: the interval of
its ceiling must lie above that of its floor. Else it is not measurable, and no praise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from sfumato.types import Finding

Role = Literal["privacy", "utility"]
"""Who reads a release: an adversary, or an honest recipient."""

_ROUNDING = 1e-6  # figures are float32 sums; 0.1 is not the same number in all of them
_CHANCE = 0.5

Ends = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One finding between its floor (0) and its ceiling (1).

    `share` may lie a little outside [0, 1], and None where nothing can be said; then `why` says why
    not.
    """

    share: float | None
    ends: Ends | None
    why: str = ""

    @property
    def shown(self) -> bool:
        """Whether something was learned, or kept, for sure: the interval lies above the floor."""
        return self.ends is not None and self.ends[0] > _ROUNDING

    @property
    def upper(self) -> float:
        """The most that the interval allows; infinite where nothing can be said."""
        return math.inf if self.ends is None else self.ends[1]


def evidence(finding: Finding, role: Role = "privacy") -> Evidence:
    """Return what a finding shows of a protection, or of a use.

    The share is (value - floor) / (ceiling - floor). Its interval takes in those of value, floor
    and ceiling: each is moved to its own end alone, and the three differences are added by their
    squares (the method of variance estimates recovery, G. Zou and A. Donner, 2008).

    An adversary reads a figure of two sides backwards where that is better: of an area under the
    curve, and of balanced accuracy over two values, the interval reaches as far above the floor as
    it does below, and a figure wholly below the floor counts as its mirror image. A use is read
    one way, since its recipient does not know which.
    """
    why = _unmeasurable(finding, role)
    if why:
        return Evidence(None, None, why)
    share, below, above = _moved(finding, finding.value, finding.interval)
    if role == "privacy" and _two_sided(finding):
        mirrored = _moved(finding, *_backwards(finding))
        above = max(share + above, mirrored[0] + mirrored[2])
        if finding.interval[1] < finding.floor:
            share, below, _ = mirrored
        above -= share
    if not math.isfinite(share - below) or not math.isfinite(share + above):
        return Evidence(None, None, "not measurable: its numbers are too large")
    return Evidence(share, (share - below, share + above))


def _moved(finding: Finding, value: float, ends: Ends) -> tuple[float, float, float]:
    """Return the share, and how far its interval reaches below and above it."""
    floor, ceiling = finding.floor, finding.ceiling
    share = _share(value, floor, ceiling)
    moved = [
        [_share(end, floor, ceiling) for end in ends],
        [_share(value, end, ceiling) for end in finding.floor_interval or ()],
        [_share(value, floor, end) for end in finding.ceiling_interval or ()],
    ]
    below = math.hypot(*(max(0.0, *(share - m for m in some)) for some in moved if some))
    above = math.hypot(*(max(0.0, *(m - share for m in some)) for some in moved if some))
    return share, below, above


def victims_needed(found: Evidence, victims: int, limit: float) -> int | None:
    """Return about how many victims would bring the interval below the limit.

    m = n (h / (limit - s))^2, since a standard error shrinks with the root of the number of
    victims: s is the share, or 0 if it lies below the floor, and h how far the interval reaches
    from it (half its width at least). None where no number would: the share is at the limit
    already, or nothing was measurable.
    """
    if found.share is None or found.ends is None:
        return None
    middle = max(found.share, 0.0)
    if middle >= limit:
        return None
    low, high = found.ends
    reach = max((high - low) / 2, high - middle)
    needed = victims * (reach / (limit - middle)) ** 2
    return math.ceil(round(needed, 6)) if math.isfinite(needed) else None


def _share(value: float, floor: float, ceiling: float) -> float:
    return (value - floor) / (ceiling - floor)


def _two_sided(finding: Finding) -> bool:
    binary = finding.metric == "balanced_accuracy" and finding.floor == _CHANCE
    return binary or finding.metric == "auc"


def _backwards(finding: Finding) -> tuple[float, Ends]:
    """Return value and interval as whoever turns every answer round has them."""
    (low, high), floor = finding.interval, finding.floor
    return 2 * floor - finding.value, (2 * floor - high, 2 * floor - low)


def _unmeasurable(finding: Finding, role: Role) -> str:
    """Say why nothing can be said, or nothing."""
    floor, ceiling = finding.floor, finding.ceiling
    sign = 1 if ceiling > floor else -1
    highest_floor = max(sign * end for end in (floor, *(finding.floor_interval or ())))
    if finding.ceiling_interval is None:
        if math.isnan(ceiling):
            return "not measurable: the same reader failed on an unprotected release"
        # Nobody measured this ceiling, so only what the attack found itself proves that it finds.
        ways = [finding.interval]
        if role == "privacy" and _two_sided(finding):
            ways.append(_backwards(finding)[1])
        if any(min(sign * e for e in (*w, ceiling)) > highest_floor + _ROUNDING for w in ways):
            return ""
        return (
            "not measurable: there is no unprotected release on which this attack could be shown "
            "to find anything"
        )
    low, high = finding.ceiling_interval
    if not math.isnan(ceiling) and min(sign * end for end in (low, high, ceiling)) > highest_floor:
        return ""
    return (
        f"not measurable: even without protection this reader is not shown to beat the floor "
        f"({low:.3f} to {high:.3f}, floor {floor:.3f})"
    )
