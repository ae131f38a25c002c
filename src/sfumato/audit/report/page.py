"""The report as one HTML page that opens from disk and asks no network for anything."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from sfumato.audit.measure.about import Data, Settings
from sfumato.audit.measure.cell import Cell
from sfumato.audit.measure.cells import NO_KEY, PLAIN
from sfumato.audit.measure.evidence import Role
from sfumato.audit.report import plots
from sfumato.audit.report.sheets import Sheet
from sfumato.audit.report.styles import Style, row_name, styles
from sfumato.audit.report.verdict import originals_found, verdicts
from sfumato.audit.report.wording import Wording, at_least, at_most, percent, span, wording
from sfumato.data.decoding.decode import png_url
from sfumato.types import Guarantee

_NOTHING = 0.005  # rounds to 0 %
_CAPTIONS = {
    "figures": "Each mark is the measured figure with its 95 % interval; the thin stroke is the "
    "floor, the thick one the ceiling.",
    "roc": "ROC curves: the further above the dotted line of guessing, the better people are told "
    "apart.",
    "curves": "How good those that count were on pictures that they held out, while they trained; "
    "a star marks the epoch used.",
}


@dataclass(frozen=True, slots=True)
class Head:
    """What a page says of the whole audit."""

    created: str
    sfumato: str
    environment: Mapping[str, str | None]
    data: Data
    settings: Settings


@dataclass(frozen=True, slots=True)
class Column:
    """One attack or use of the matrix."""

    role: Role
    attack: str
    title: str
    slug: str
    """Where its section is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What one place of the matrix, or a row of a section, says."""

    text: str = "not measured"
    level: float | None = None
    """0 to 1: what an adversary may learn, or what a recipient is shown to keep; None without."""
    within: str | None = None
    """The interval."""
    originals: int = 0
    note: int | None = None
    """Number of the note that says why there is no figure."""


@dataclass(frozen=True, slots=True)
class Row:
    """One cell in the section of its attack."""

    name: str
    place: Place
    cell: Cell
    trained: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart, and the words beneath it."""

    html: str
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Everything about one attack or use."""

    column: Column
    words: Wording
    rows: list[Row]
    plain: bool
    """Whether a keyed release was attacked twice."""
    charts: list[Chart]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one protector costs: a picture's bytes and seconds, and the audit's own time."""

    protector: str
    bytes: float | None
    seconds: float | None
    audit: float


def draw_page(
    head: Head,
    cells: Sequence[Cell],
    sheets: Sequence[tuple[Sheet, bytes]],
    guarantees: Mapping[str, Guarantee],
) -> str:
    """Return the page of a report."""
    environment = Environment(
        loader=PackageLoader("sfumato.audit.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "at_least": at_least,
        "size": _size,
        "data_url": png_url,
    }
    found = verdicts(cells, guarantees)
    meant, absent = _parted(cells)
    columns = _columns(meant)
    style = styles([verdict.protector for verdict in found])
    chart = plots.frontier(found, style)
    return environment.get_template("report.html.j2").render(
        report=head,
        cells=cells,
        failed=[cell for cell in cells if cell.error is not None],
        verdicts=found,
        originals=originals_found(cells, guarantees),
        guarantees=guarantees,
        columns=columns,
        shown=_shown(meant),
        notes=_notes(meant),
        absent=absent,
        frontier=None if chart is None else plots.drawn(chart),
        sections=[_section(column, meant, style) for column in columns],
        costs=_costs(cells),
        sheets=_by_protector(sheets),
        example=_example(meant),
        plotly_js=get_plotlyjs(),
    )


def _parted(cells: Sequence[Cell]) -> tuple[list[Cell], dict[str, str]]:
    """Return the cells of attacks that mean something for some release; of others, why they do not.

    Ways that only exist for keyed releases are left out: nobody else asks for them.
    """
    asked = [cell for cell in cells if cell.reason != NO_KEY]
    meant = {_attack(cell) for cell in asked if cell.reason is None}
    absent = {_attack(cell): cell.reason or "" for cell in asked if _attack(cell) not in meant}
    kept = [cell for cell in asked if _attack(cell) in meant]
    return kept, {wording(attack).title: why for attack, why in absent.items()}


def _attack(cell: Cell) -> str:
    return cell.attack.removesuffix(PLAIN)


def _columns(cells: Sequence[Cell]) -> list[Column]:
    """Return the attacks and uses in order: what an adversary learns first."""
    pairs = dict.fromkeys((cell.role, _attack(cell)) for cell in cells)
    ordered = sorted(pairs, key=lambda pair: pair[0] == "utility")
    return [
        Column(role, attack, wording(attack).title, f"part-{i}")
        for i, (role, attack) in enumerate(ordered)
    ]


def _notes(cells: Sequence[Cell]) -> list[str]:
    """Return every reason for a cell without a figure, once, in the order of the matrix."""
    return list(dict.fromkeys(note for cell in cells if (note := _note(cell))))


def _note(cell: Cell) -> str | None:
    if cell.finding is None:
        return cell.reason if cell.error is None else f"failed: {cell.error}"
    return None if cell.evidence is None else cell.evidence.why or None


def _shown(cells: Sequence[Cell]) -> dict[tuple[str, str], Place]:
    """Return what each place of the matrix says: of several ways, the one that may learn most."""
    notes = _notes(cells)
    found: dict[tuple[str, str], Place] = defaultdict(Place)
    for cell in sorted(cells, key=_rank):
        found[cell.protector, _attack(cell)] = _place(cell, notes)
    return found


def _rank(cell: Cell) -> float:
    """Return the upper end; what could not be measured comes first, what has no meaning last."""
    return -math.inf if cell.evidence is None else cell.evidence.upper


def _place(cell: Cell, notes: Sequence[str]) -> Place:
    note, found = _note(cell), cell.evidence
    if found is None or found.share is None or found.ends is None:
        text = "failed" if cell.error else "not measurable" if cell.finding else "n/a"
        number = None if note is None else notes.index(note) + 1
        return Place(text=text, note=number)
    # Colour and bar are what an adversary may learn, and what a recipient is shown to keep.
    level = found.upper if cell.role == "privacy" else found.ends[0]
    doubtful = cell.role == "privacy" and not found.shown
    return Place(
        text=f"up to {at_most(found.upper)}" if doubtful else _at_least(found.share),
        level=round(min(max(level, 0.0), 1.0), 3),
        within=span(found.ends),
        originals=cell.originals,
    )


def _at_least(share: float) -> str:
    return percent(share) if share > -_NOTHING else "below 0 %"


def _section(column: Column, cells: Sequence[Cell], style: Mapping[str, Style]) -> Section:
    notes = _notes(cells)
    chosen = [cell for cell in cells if _attack(cell) == column.attack and cell.role == column.role]
    charts = {
        "figures": plots.forest(chosen, style),
        "roc": plots.roc(chosen, style),
        "curves": plots.curves(chosen, style),
    }
    return Section(
        column=column,
        words=wording(column.attack),
        rows=[Row(row_name(cell), _place(cell, notes), cell, _trained(cell)) for cell in chosen],
        plain=any(cell.attack.endswith(PLAIN) for cell in chosen),
        charts=[
            Chart(plots.drawn(figure), _CAPTIONS[name])
            for name, figure in charts.items()
            if figure is not None
        ],
    )


def _trained(cell: Cell) -> str:
    """Return what was trained, and how much of it ended because nothing more was gained."""
    if cell.finding is None:
        return "nothing to train"
    details = cell.finding.details
    by = f"used: {', '.join(details.used)}" if details.used else ""
    runs = [one.training for one in details.trained if one.training is not None]
    if not runs:
        return by or "nothing to train"
    stopped = sum(run.stopped_early for run in runs)
    of = f"{stopped} of {len(runs)} stopped gaining before the last epoch"
    return f"{by}; {of}" if by else of


def _costs(cells: Sequence[Cell]) -> list[Cost]:
    """Return a row a protector: bytes and seconds a picture, and the audit's own time."""
    rows = []
    for name in dict.fromkeys(cell.protector for cell in cells):
        own = [cell for cell in cells if cell.protector == name]
        sizes = [cell.release_bytes for cell in own if cell.release_bytes is not None]
        times = [cell.release_seconds for cell in own if cell.release_seconds is not None]
        rows.append(
            Cost(
                protector=name,
                bytes=sizes[0] if sizes else None,
                # The first release of a process pays for what is made ready once.
                seconds=min(times) if times else None,
                audit=sum(cell.seconds for cell in own),
            )
        )
    return rows


def _example(cells: Sequence[Cell]) -> Cell | None:
    """Return a cell to explain floor, ceiling and leakage by: the one nearest the middle."""
    usable = [
        (cell, cell.finding.leakage)
        for cell in cells
        if cell.role == "privacy"
        and cell.finding is not None
        and cell.evidence is not None
        and cell.evidence.share == cell.finding.leakage  # not one that is read backwards
    ]
    return min(usable, key=lambda pair: abs(pair[1] - 0.5), default=(None, None))[0]


def _by_protector(sheets: Sequence[tuple[Sheet, bytes]]) -> dict[str, list[tuple[Sheet, bytes]]]:
    found: dict[str, list[tuple[Sheet, bytes]]] = {}
    for sheet, content in sheets:
        found.setdefault(sheet.protector, []).append((sheet, content))
    return found


def _size(count: float) -> str:
    return f"{count:,.0f} bytes" if count < 10_000 else f"{count / 1000:,.0f} kB"
