"""How protectors are drawn and named, the same in every chart and figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sfumato.audit.measure.cell import Cell
from sfumato.audit.measure.cells import PLAIN

# Okabe and Ito's colours, which people see apart with any kind of colour blindness.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
_MARKS = ("circle", "square", "diamond", "triangle-up", "x", "star", "pentagon", "cross")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


@dataclass(frozen=True, slots=True)
class Style:
    """Colour, mark and dash of one protector, the same in every chart."""

    colour: str
    mark: str
    dash: str


def styles(protectors: Sequence[str]) -> dict[str, Style]:
    """Return how each protector is drawn."""
    return {
        name: Style(_COLOURS[i % 7], _MARKS[i % 8], _DASHES[i % 6])
        for i, name in enumerate(protectors)
    }


def row_name(cell: Cell) -> str:
    """Return what a cell is called among the others of its attack."""
    return f"{cell.protector} (inside)" if cell.attack.endswith(PLAIN) else cell.protector
