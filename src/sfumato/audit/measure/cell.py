"""One cell of an audit: a protector under an attack, as measured and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sfumato.attack.copies import ORIGINALS
from sfumato.audit.measure.evidence import Evidence, Role, evidence
from sfumato.types import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One protector under one attack: a finding, why there can be none, or what stopped it."""

    protector: str
    attack: str
    role: Role
    key: str
    """Name of the cell by content: protector, data, attack and seeds."""
    victims: int
    """Number of victims' pictures."""
    seconds: float = 0.0
    """Time to release the victims' pictures and to attack them."""
    release_seconds: float | None = None
    """Time to release one picture."""
    release_bytes: float | None = None
    """Size of one release as it is stored."""
    finding: Finding | None = None
    reason: str | None = None
    """Why the attack has no meaning for this release."""
    error: str | None = None

    @property
    def evidence(self) -> Evidence | None:
        """What the finding shows; None where there is none."""
        return None if self.finding is None else evidence(self.finding, self.role)

    @property
    def originals(self) -> int:
        """How many releases were found to be originals; 0 where nobody looked."""
        found = None if self.finding is None else self.finding.details.get(ORIGINALS)
        return found if isinstance(found, int) and self.role == "privacy" else 0

    def document(self) -> dict[str, Any]:
        """Return the cell as JSON values."""
        document: dict[str, Any] = {
            "protector": self.protector,
            "attack": self.attack,
            "role": self.role,
            "key": self.key,
            "victims": self.victims,
            "seconds": self.seconds,
            "release_seconds": self.release_seconds,
            "release_bytes": self.release_bytes,
            "reason": self.reason,
            "error": self.error,
        }
        found = self.evidence
        if self.finding is None or found is None:
            return document | {"finding": None, "leakage": None, "leakage_interval": None}
        return document | {
            "finding": _finite(asdict(self.finding)),
            "leakage": found.share,
            "leakage_interval": None if found.ends is None else list(found.ends),
            "shown": found.shown,
            "unmeasurable": found.why or None,
        }


def read_cell(document: Mapping[str, Any]) -> Cell:
    """Return the cell that `Cell.document` wrote.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    role = document["role"]
    if role not in ("privacy", "utility"):
        raise ValueError(f"role {role!r}")
    outcomes = [document[name] for name in ("finding", "reason", "error")]
    if sum(outcome is not None for outcome in outcomes) != 1:
        raise ValueError("a cell has either a finding, a reason or an error")
    return Cell(
        protector=typed(document["protector"], str),
        attack=typed(document["attack"], str),
        role=role,
        key=typed(document["key"], str),
        victims=_count(document["victims"]),
        seconds=_finite_number(document["seconds"]),
        release_seconds=_optional(document["release_seconds"]),
        release_bytes=_optional(document["release_bytes"]),
        finding=None if document["finding"] is None else _finding(document["finding"]),
        reason=None if document["reason"] is None else typed(document["reason"], str),
        error=None if document["error"] is None else typed(document["error"], str),
    )


def typed(value: Any, kind: type | tuple[type, ...]) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value that is of the kind, or raise a TypeError."""
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind}, got {type(value).__name__}")
    return value


def _finding(document: Mapping[str, Any]) -> Finding:
    ends = _ends(document["interval"])
    if ends is None:
        raise TypeError("a finding has an interval")
    return Finding(
        attack=typed(document["attack"], str),
        protector=typed(document["protector"], str),
        metric=typed(document["metric"], str),
        value=_finite_number(document["value"]),
        floor=_finite_number(document["floor"]),
        ceiling=math.nan if document["ceiling"] is None else _finite_number(document["ceiling"]),
        interval=ends,
        seeds=tuple(typed(seed, int) for seed in document["seeds"]),
        floor_interval=_ends(document["floor_interval"]),
        ceiling_interval=_ends(document["ceiling_interval"]),
        details=typed(document["details"], dict),
    )


def _ends(value: object) -> tuple[float, float] | None:
    if value is None:
        return None
    low, high = (_finite_number(end) for end in typed(value, list))
    return low, high


def _count(value: object) -> int:
    if isinstance(value, bool) or int(typed(value, int)) < 0:
        raise ValueError(f"expected a count, got {value!r}")
    return int(typed(value, int))


def _optional(value: object) -> float | None:
    return None if value is None else _finite_number(value)


def _finite_number(value: object) -> float:
    number = float(typed(value, (int, float)))
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, got {number}")
    return number


def _finite(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return JSON values with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
