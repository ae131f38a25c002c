"""The report: `report.json` with a versioned schema, and one HTML page that needs nothing else.

It reads and writes; it computes nothing. The schema is described in docs/formats.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sfumato.audit.measure.cell import Cell, read_cell, typed
from sfumato.audit.report.page import draw_page
from sfumato.audit.report.sheets import FOLDER, Sheet, read_sheet
from sfumato.audit.report.verdict import originals_found, verdicts
from sfumato.errors import FormatError
from sfumato.files import MALFORMED, read_json, write_bytes
from sfumato.types import Guarantee

SCHEMA = 4
_LIMIT_BYTES = 64 << 20


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
    environment: Mapping[str, Any] = field(default_factory=dict)
    """Versions and the machine."""
    guarantees: Mapping[str, Guarantee] = field(default_factory=dict)
    """What protectors say of every release of theirs, by name."""
    pictures: tuple[Sheet, ...] = ()
    """Sheets of victims' pictures; none unless they were asked for."""

    @property
    def failed(self) -> tuple[Cell, ...]:
        """The cells that ended in an error."""
        return tuple(cell for cell in self.cells if cell.error is not None)

    def document(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "schema": SCHEMA,
            "originals": originals_found(self.cells, self.guarantees),
            "created": self.created,
            "sfumato": self.sfumato,
            "environment": dict(self.environment),
            "data": dict(self.data),
            "settings": dict(self.settings),
            "verdicts": [
                {
                    "protector": said.protector,
                    "sentence": said.sentence,
                    "originals": said.originals,
                }
                for said in verdicts(self.cells, self.guarantees)
            ],
            "guarantees": {name: asdict(said) for name, said in self.guarantees.items()},
            "cells": [cell.document() for cell in self.cells],
            "pictures": [sheet.document() for sheet in self.pictures],
        }

    def page(self, folder: Path) -> str:
        """Return the report as one HTML page; its sheets, if any, are read beside the report."""
        files = [(sheet, folder / FOLDER / sheet.file) for sheet in self.pictures]
        sheets = [(sheet, file.read_bytes()) for sheet, file in files if file.is_file()]
        return draw_page(self.document(), self.cells, sheets, self.guarantees)

    def write(self, folder: Path) -> Path:
        """Write `report.json` and `report.html` into the folder; return the first one's path."""
        path = folder / "report.json"
        content = json.dumps(self.document(), indent=2, allow_nan=False)
        write_bytes(path, content.encode() + b"\n")
        write_bytes(folder / "report.html", self.page(folder).encode())
        return path


def read_report(path: Path) -> Report:
    """Read a `report.json`, which may come from anyone.

    Raises:
        FormatError: the file is missing, too large, not JSON, or of another schema.
    """
    document = read_json(path, limit_bytes=_LIMIT_BYTES)
    if document.get("schema") != SCHEMA:
        found = document.get("schema", "none")
        raise FormatError(f"{path}: expected report schema {SCHEMA}, got {found!r}; audit anew")
    try:
        return Report(
            created=typed(document["created"], str),
            sfumato=typed(document["sfumato"], str),
            environment=typed(document["environment"], dict),
            data=_data(typed(document["data"], dict)),
            settings=_settings(typed(document["settings"], dict)),
            guarantees={
                name: _guarantee(typed(said, dict))
                for name, said in typed(document["guarantees"], dict).items()
            },
            cells=tuple(read_cell(cell) for cell in typed(document["cells"], list)),
            pictures=tuple(read_sheet(sheet) for sheet in typed(document["pictures"], list)),
        )
    except MALFORMED as error:
        raise FormatError(f"{path} is no report of schema {SCHEMA}: {error!r}") from error


def _data(document: Mapping[str, Any]) -> Mapping[str, Any]:
    for side in ("victims", "adversary"):
        about = typed(document[side], dict)
        typed(about["name"], str), typed(about["count"], int), typed(about["fingerprint"], str)
        if not all(isinstance(length, int) for length in typed(about["shape"], list)):
            raise TypeError(f"shape {about['shape']!r}")
    typed(document["disjoint"], str)
    return document


def _guarantee(document: Mapping[str, Any]) -> Guarantee:
    figures = {
        name: float(typed(figure, (int, float)))
        for name, figure in typed(document["figures"], dict).items()
    }
    if not all(math.isfinite(figure) for figure in figures.values()):
        raise ValueError(f"figures {figures}")
    return Guarantee(figures=figures, originals=typed(document["originals"], str))


def _settings(document: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in ("private", "utility", "attacks", "protectors", "keyed", "learners"):
        if not all(isinstance(entry, str) for entry in typed(document[name], list)):
            raise TypeError(f"{name} {document[name]!r}")
    if not all(isinstance(seed, int) for seed in typed(document["seeds"], list)):
        raise TypeError(f"seeds {document['seeds']!r}")
    typed(document["restarts"], int), typed(document["epochs"], int)
    typed(document["precision"], str)
    typed(document["identity"], (str, type(None)))
    typed(document.get("command", ""), str)
    return document
