"""The report: `report.json` with a versioned schema, and one HTML page that needs nothing else.

It renders and reads; it computes nothing. The schema is described in docs/formats.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import jinja2

from sfumato.audit.metrics import at_floor, leakage, leakage_interval
from sfumato.errors import FormatError
from sfumato.files import write_bytes
from sfumato.types import Finding

SCHEMA = 1
_LIMIT_BYTES = 64 << 20

Role = Literal["privacy", "utility"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One protector under one attack: a finding, or the error that stopped it."""

    protector: str
    attack: str
    role: Role
    key: str
    """Name of the cell by content: protector, data, attack and seeds."""
    seconds: float = 0.0
    finding: Finding | None = None
    error: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the cell as JSON values."""
        document: dict[str, Any] = {
            "protector": self.protector,
            "attack": self.attack,
            "role": self.role,
            "key": self.key,
            "seconds": self.seconds,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of one audit."""

    created: str
    """Time in UTC, ISO 8601."""
    sfumato: str
    """Version of the package that measured."""
    data: Mapping[str, Any]
    """Names, counts and fingerprints of the victims' and the adversary's images."""
    cells: tuple[Cell, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> tuple[Cell, ...]:
        """The cells that ended in an error."""
        return tuple(cell for cell in self.cells if cell.error is not None)

    def document(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "schema": SCHEMA,
            "created": self.created,
            "sfumato": self.sfumato,
            "data": dict(self.data),
            "settings": dict(self.settings),
            "cells": [cell.document() for cell in self.cells],
        }

    def write(self, folder: Path) -> Path:
        """Write `report.json` and `report.html` into the folder; return the first one's path."""
        path = folder / "report.json"
        content = json.dumps(self.document(), indent=2, allow_nan=False)
        write_bytes(path, content.encode() + b"\n")
        write_bytes(folder / "report.html", render(self).encode())
        return path


def read_report(path: Path) -> Report:
    """Read a `report.json`, which may come from anyone.

    Raises:
        FormatError: the file is missing, too large, not JSON, or of another schema.
    """
    document = _load(path)
    if document.get("schema") != SCHEMA:
        found = document.get("schema", "none")
        raise FormatError(f"{path}: expected report schema {SCHEMA}, got {found!r}; audit anew")
    try:
        return Report(
            created=_typed(document["created"], str),
            sfumato=_typed(document["sfumato"], str),
            data=_typed(document["data"], dict),
            settings=_typed(document["settings"], dict),
            cells=tuple(read_cell(cell) for cell in _typed(document["cells"], list)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"{path} is no report of schema {SCHEMA}: {error!r}") from error


def read_cell(document: Mapping[str, Any]) -> Cell:
    """Return the cell that `Cell.document` wrote.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    error = document["error"]
    role = document["role"]
    if role not in ("privacy", "utility"):
        raise ValueError(f"role {role!r}")
    return Cell(
        protector=_typed(document["protector"], str),
        attack=_typed(document["attack"], str),
        role=role,
        key=_typed(document["key"], str),
        seconds=float(document["seconds"]),
        finding=None if document["finding"] is None else _finding(document["finding"]),
        error=None if error is None else _typed(error, str),
    )


def render(report: Report) -> str:
    """Return the report as one HTML page without scripts, fonts or pictures from elsewhere."""
    folder = resources.files("sfumato.audit") / "templates"
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((folder / "report.html.j2").read_text("utf-8"))
    return template.render(report=report.document())


def _finding(document: Mapping[str, Any]) -> Finding:
    low, high = (float(end) for end in document["interval"])
    numbers = {name: _number(document[name]) for name in ("value", "floor", "ceiling")}
    return Finding(
        attack=_typed(document["attack"], str),
        protector=_typed(document["protector"], str),
        metric=_typed(document["metric"], str),
        interval=(low, high),
        seeds=tuple(int(seed) for seed in document["seeds"]),
        details=_typed(document["details"], dict),
        **numbers,
    )


def _number(value: object) -> float:
    return math.nan if value is None else float(_typed(value, (int, float)))


def _typed(value: Any, kind: type | tuple[type, ...]) -> Any:  # noqa: ANN401
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind}, got {type(value).__name__}")
    return value


def _finite(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return JSON values with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise FormatError(f"{path}: expected a report of at most {_LIMIT_BYTES:,} bytes")
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise FormatError(f"{path}: expected a JSON object, got {type(document).__name__}")
    return document
