"""One cell of an audit: a protector under an attack, as measured and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sfumato.audit.metrics import at_floor, leakage, leakage_interval
from sfumato.types import Finding

Role = Literal["privacy", "utility"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One protector under one attack: a finding, why there can be none, or what stopped it."""

    protector: str
    attack: str
    role: Role
    key: str
    """Name of the cell by content: protector, data, attack and seeds."""
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

    def document(self) -> dict[str, Any]:
        """Return the cell as JSON values."""
        document: dict[str, Any] = {
            "protector": self.protector,
            "attack": self.attack,
            "role": self.role,
            "key": self.key,
            "seconds": self.seconds,
            "release_seconds": self.release_seconds,
            "release_bytes": self.release_bytes,
            "reason": self.reason,
            "error": self.error,
        }
        finding = self.finding
        if finding is None:
            return document | {"finding": None, "leakage": None, "leakage_interval": None}
        ends = leakage_interval(finding)
        return document | {
            "finding": _finite(asdict(finding)),
            "leakage": leakage(finding),
            "leakage_interval": None if ends is None else list(ends),
            "at_floor": at_floor(finding),
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
    low, high = (_finite_number(end) for end in document["interval"])
    return Finding(
        attack=typed(document["attack"], str),
        protector=typed(document["protector"], str),
        metric=typed(document["metric"], str),
        value=_finite_number(document["value"]),
        floor=_finite_number(document["floor"]),
        ceiling=math.nan if document["ceiling"] is None else _finite_number(document["ceiling"]),
        interval=(low, high),
        seeds=tuple(typed(seed, int) for seed in document["seeds"]),
        details=typed(document["details"], dict),
    )


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
