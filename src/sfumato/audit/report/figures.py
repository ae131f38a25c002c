"""An audit's figures as SVG, for a paper: text stays text, and a report gives the same bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sfumato.audit.measure.cell import Cell
from sfumato.audit.measure.evidence import Role
from sfumato.audit.report.report import Report
from sfumato.audit.report.styles import Style, row_name, styles
from sfumato.extras import needs
from sfumato.files import replacing_folder

_ROW, _WIDE = 0.32, 6.0  # inches
_GREY = "#7f7f7f"
_MARKS = {
    "circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "x": "X", "star": "*",
    "pentagon": "p", "cross": "P",
}  # fmt: skip
_DASHES = {
    "solid": "-", "dash": "--", "dot": ":", "dashdot": "-.", "longdash": (0, (8, 3)),
    "longdashdot": (0, (8, 3, 1, 3)),
}  # fmt: skip


def write_figures(report: Report, folder: Path) -> list[Path]:
    """Write one SVG with the leakage of every attack, one an attack, and its ROC curves if any.

    Returns the files' paths.

    Raises:
        InputError: the folder holds other files, or cannot be written.
        UnavailableError: Matplotlib is not installed.
    """
    needs("report", "drawing figures", "matplotlib")
    drawn = dict(_figures(report))
    names = sorted(drawn)
    there = [path.name for path in folder.glob("*.svg")] if folder.is_dir() else []
    with replacing_folder(folder, ours=there) as part, _plain():
        for name in names:
            drawn[name].savefig(part / name, bbox_inches="tight", metadata={"Date": None})
    return [folder / name for name in names]


def _figures(report: Report) -> Iterator[tuple[str, Any]]:
    style = styles(report.settings.protectors)
    of: dict[tuple[Role, str], list[Cell]] = {}
    for cell in report.cells:
        if cell.finding is not None:
            of.setdefault((cell.role, cell.attack), []).append(cell)
    for role in ("privacy", "utility"):
        every = [cell for (one, _), cells in of.items() for cell in cells if one == role]
        shown = [cell for cell in every if cell.evidence and cell.evidence.share is not None]
        if shown:
            yield f"{role}.svg", _shares(shown, style, role)
    for (role, attack), cells in of.items():
        slug = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{role}-{attack}").strip("-")
        yield f"{slug}.svg", _measured(cells, style)
        if any(cell.finding and cell.finding.details.roc for cell in cells):
            yield f"{slug}-roc.svg", _roc(cells, style)


def _shares(cells: Sequence[Cell], style: Mapping[str, Style], role: str) -> Any:  # noqa: ANN401
    figure, axes = _canvas(len(cells))
    for row, cell in enumerate(cells):
        found, look = cell.evidence, style[cell.protector]
        if found is None or found.share is None or found.ends is None:
            continue
        axes.plot(found.ends, (row, row), color=look.colour, linewidth=1.5)
        axes.plot(found.share, row, _MARKS[look.mark], color=look.colour)
    names = [f"{cell.protector}, {cell.attack}" for cell in cells]
    axes.set_yticks(range(len(cells)), names)
    axes.set_xlabel("leakage" if role == "privacy" else "share that stays readable")
    axes.axvline(0, color=_GREY, linewidth=0.8)
    axes.axvline(1, color=_GREY, linewidth=0.8, linestyle=":")
    return figure


def _measured(cells: Sequence[Cell], style: Mapping[str, Style]) -> Any:  # noqa: ANN401
    figure, axes = _canvas(len(cells))
    for row, cell in enumerate(cells):
        finding, look = cell.finding, style[cell.protector]
        if finding is None:
            continue
        axes.plot(finding.floor, row, "|", color=_GREY, markersize=14)
        axes.plot(finding.ceiling, row, "|", color=_GREY, markersize=14, markeredgewidth=3)
        axes.plot(finding.interval, (row, row), color=look.colour, linewidth=1.5)
        axes.plot(finding.value, row, _MARKS[look.mark], color=look.colour)
        axes.set_xlabel(f"{finding.metric} (floor thin, ceiling thick)")
    axes.set_yticks(range(len(cells)), list(map(row_name, cells)))
    return figure


def _roc(cells: Sequence[Cell], style: Mapping[str, Style]) -> Any:  # noqa: ANN401
    figure, axes = _canvas(11)
    for cell in cells:
        curve, look = cell.finding and cell.finding.details.roc, style[cell.protector]
        if curve:
            axes.plot(
                curve.far, curve.tar, color=look.colour, linestyle=_DASHES[look.dash],
                label=row_name(cell),
            )  # fmt: skip
    axes.plot((0, 1), (0, 1), ":", color=_GREY, label="guessing")
    axes.invert_yaxis()  # the rows of the other figures go down
    axes.set_xlabel("pairs of two people accepted")
    axes.set_ylabel("pairs of one person accepted")
    axes.legend(frameon=False)
    return figure


def _canvas(rows: int) -> tuple[Any, Any]:
    # Not pyplot: it keeps figures, and asks for a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDE, 0.9 + _ROW * rows))
    axes = figure.subplots()
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


@contextmanager
def _plain() -> Iterator[None]:
    """Write text as text, and ids that follow from the content."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sfumato"}):
        yield
