"""The report as one HTML page that opens from disk and asks no network for anything."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from sfumato.audit.measure.cell import Cell
from sfumato.audit.measure.cells import NO_KEY, PLAIN
from sfumato.audit.report import plots
from sfumato.audit.report.sheets import Sheet
from sfumato.audit.report.trainings import learners_used, trainings
from sfumato.audit.report.verdict import originals_found, verdicts
from sfumato.audit.report.wording import percent, span, wording
from sfumato.data.decoding.decode import png_url
from sfumato.types import Guarantee

_UNMEASURED = {"text": "not measured", "level": None, "note": None}
_NOTHING = 0.005  # rounds to 0 %
_CAPTIONS = {
    "figures": "Each mark is the measured figure with its 95 % interval; the thin stroke is the "
    "floor, the thick one the ceiling.",
    "roc": "ROC curves: the further above the dotted line of guessing, the better people are told "
    "apart.",
    "curves": "How good those that count were on pictures that they held out, while they trained; "
    "a star marks the epoch used.",
}


def draw_page(
    document: Mapping[str, Any],
    cells: Sequence[Cell],
    sheets: Sequence[tuple[Sheet, bytes]],
    guarantees: Mapping[str, Guarantee],
) -> str:
    """Return the page of a report: `document` as it is stored, with what it was made of."""
    environment = Environment(
        loader=PackageLoader("sfumato.audit.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "size": _size, "data_url": png_url}
    found = verdicts(cells, guarantees)
    meant, absent = _parted(cells)
    columns = _columns(meant)
    style = plots.styles([verdict.protector for verdict in found])
    chart = plots.frontier(found, style)
    return environment.get_template("report.html.j2").render(
        report=document,
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


def _columns(cells: Sequence[Cell]) -> list[dict[str, str]]:
    """Return the attacks and uses in order: what an adversary learns first."""
    pairs = dict.fromkeys((cell.role, _attack(cell)) for cell in cells)
    ordered = sorted(pairs, key=lambda pair: pair[0] == "utility")
    return [
        {"role": role, "attack": attack, "title": wording(attack).title, "slug": f"part-{i}"}
        for i, (role, attack) in enumerate(ordered)
    ]


def _notes(cells: Sequence[Cell]) -> list[str]:
    """Return every reason for a cell without a figure, once, in the order of the matrix."""
    return list(dict.fromkeys(note for cell in cells if (note := _note(cell))))


def _note(cell: Cell) -> str | None:
    if cell.finding is None:
        return cell.reason if cell.error is None else f"failed: {cell.error}"
    return None if cell.evidence is None else cell.evidence.why or None


def _shown(cells: Sequence[Cell]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what each place of the matrix says: of several ways, the one that may learn most."""
    notes = _notes(cells)
    found: dict[tuple[str, str], dict[str, Any]] = defaultdict(lambda: dict(_UNMEASURED))
    for cell in sorted(cells, key=_rank):
        found[cell.protector, _attack(cell)] = _place(cell, notes)
    return found


def _rank(cell: Cell) -> float:
    """Return the upper end; what could not be measured comes first, what has no meaning last."""
    return -math.inf if cell.evidence is None else cell.evidence.upper


def _place(cell: Cell, notes: Sequence[str]) -> dict[str, Any]:
    note, found = _note(cell), cell.evidence
    if found is None or found.share is None or found.ends is None:
        text = "failed" if cell.error else "not measurable" if cell.finding else "n/a"
        number = None if note is None else notes.index(note) + 1
        return {"text": text, "level": None, "within": None, "note": number, "cell": cell}
    # Colour and bar are what an adversary may learn, and what a recipient is shown to keep.
    level = found.upper if cell.role == "privacy" else found.ends[0]
    doubtful = cell.role == "privacy" and not found.shown
    return {
        "text": f"up to {percent(found.upper)}" if doubtful else _at_least(found.share),
        "level": round(min(max(level, 0.0), 1.0), 3),
        "within": span(found.ends),
        "originals": cell.originals,
        "note": None,
        "cell": cell,
    }


def _at_least(share: float) -> str:
    return percent(share) if share > -_NOTHING else "below 0 %"


def _section(
    column: Mapping[str, str], cells: Sequence[Cell], style: Mapping[str, plots.Style]
) -> dict[str, Any]:
    notes = _notes(cells)
    chosen = [
        cell for cell in cells if _attack(cell) == column["attack"] and cell.role == column["role"]
    ]
    charts = {
        "figures": plots.forest(chosen, style),
        "roc": plots.roc(chosen, style),
        "curves": plots.curves(chosen, style),
    }
    return {
        **column,
        "words": wording(column["attack"]),
        "places": [
            {**_place(cell, notes), "name": plots.row_name(cell), "trained": _trained(cell)}
            for cell in chosen
        ],
        "plain": any(cell.attack.endswith(PLAIN) for cell in chosen),
        "charts": [
            {"html": plots.drawn(figure), "caption": _CAPTIONS[name]}
            for name, figure in charts.items()
            if figure is not None
        ],
    }


def _trained(cell: Cell) -> str:
    """Return what was trained, and how much of it ended because nothing more was gained."""
    runs, used = trainings(cell), learners_used(cell)
    by = f"used: {', '.join(used)}" if used else ""
    if not runs:
        return by or "nothing to train"
    stopped = sum(run.stopped_early for run in runs)
    of = f"{stopped} of {len(runs)} stopped gaining before the last epoch"
    return f"{by}; {of}" if by else of


def _costs(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return a row a protector: bytes and seconds a picture, and the audit's own time."""
    rows = []
    for name in dict.fromkeys(cell.protector for cell in cells):
        own = [cell for cell in cells if cell.protector == name]
        sizes = [cell.release_bytes for cell in own if cell.release_bytes is not None]
        times = [cell.release_seconds for cell in own if cell.release_seconds is not None]
        rows.append(
            {
                "protector": name,
                "bytes": sizes[0] if sizes else None,
                # The first release of a process pays for what is made ready once.
                "seconds": min(times) if times else None,
                "audit": sum(cell.seconds for cell in own),
            }
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
