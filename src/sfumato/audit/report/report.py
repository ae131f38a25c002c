"""The report: `report.json` with a versioned schema, and one HTML page that needs nothing else.

It reads and writes; it computes nothing. The schema is described in docs/formats.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sfumato.audit.measure.about import Data, Settings
from sfumato.audit.measure.cell import Cell, read_cell
from sfumato.audit.measure.jsonvalues import read_as, written
from sfumato.audit.report.sheets import FOLDER, Sheet, read_sheet
from sfumato.audit.report.verdict import originals_found, verdicts
from sfumato.errors import FormatError
from sfumato.extras import needs
from sfumato.files import MALFORMED, read_json, write_bytes
from sfumato.types import Guarantee

SCHEMA = 5
_LIMIT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of one audit."""

    created: str
    """Time in UTC, ISO 8601."""
    sfumato: str
    """Version of the package that measured."""
    data: Data
    """The victims' and the adversary's images."""
    settings: Settings
    cells: tuple[Cell, ...]
    environment: Mapping[str, str | None] = field(default_factory=dict)
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
            "data": written(self.data),
            "settings": written(self.settings),
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
        """Return the report as one HTML page; its sheets, if any, are read beside the report.

        Raises:
            UnavailableError: Plotly, which draws the charts, is not installed.
        """
        needs("report", "a report's page", "plotly")
        from sfumato.audit.report.page import Head, draw_page

        files = [(sheet, folder / FOLDER / sheet.file) for sheet in self.pictures]
        sheets = [(sheet, file.read_bytes()) for sheet, file in files if file.is_file()]
        head = Head(self.created, self.sfumato, self.environment, self.data, self.settings)
        return draw_page(head, self.cells, sheets, self.guarantees)

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
            created=read_as(str, document["created"]),
            sfumato=read_as(str, document["sfumato"]),
            environment=read_as(Mapping[str, str | None], document["environment"]),
            data=read_as(Data, document["data"]),
            settings=read_as(Settings, document["settings"]),
            guarantees=read_as(Mapping[str, Guarantee], document["guarantees"]),
            cells=tuple(read_cell(cell) for cell in read_as(list, document["cells"])),
            pictures=tuple(read_sheet(sheet) for sheet in read_as(list, document["pictures"])),
        )
    except MALFORMED as error:
        raise FormatError(f"{path} is no report of schema {SCHEMA}: {error!r}") from error
