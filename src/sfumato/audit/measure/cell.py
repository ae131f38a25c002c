"""One cell of an audit: a protector under an attack, as measured and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sfumato.audit.measure.details import details_document, read_details
from sfumato.audit.measure.evidence import Evidence, Role, evidence
from sfumato.audit.measure.jsonvalues import read_as, written
from sfumato.types import Details, Finding


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
        if self.finding is None or self.role != "privacy":
            return 0
        return self.finding.details.originals

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
            "finding": written(replace(self.finding, details=Details()))
            | {"details": details_document(self.finding.details)},
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
        protector=read_as(str, document["protector"]),
        attack=read_as(str, document["attack"]),
        role=role,
        key=read_as(str, document["key"]),
        victims=_count(document["victims"]),
        seconds=read_as(float, document["seconds"]),
        release_seconds=read_as(float | None, document["release_seconds"]),
        release_bytes=read_as(float | None, document["release_bytes"]),
        finding=None if document["finding"] is None else _finding(document["finding"]),
        reason=read_as(str | None, document["reason"]),
        error=read_as(str | None, document["error"]),
    )


def _finding(document: Mapping[str, Any]) -> Finding:
    ceiling, details = document["ceiling"], read_as(dict, document["details"])
    told = {
        **document,
        "ceiling": 0.0 if ceiling is None else ceiling,
        "details": written(Details()),
    }
    found = read_as(Finding, told)
    assert isinstance(found, Finding)  # noqa: S101 - as asked for
    return replace(
        found,
        ceiling=math.nan if ceiling is None else found.ceiling,
        details=read_details(details),
    )


def _count(value: object) -> int:
    count = int(read_as(int, value))
    if count < 0:
        raise ValueError(f"expected a count, got {count}")
    return count
