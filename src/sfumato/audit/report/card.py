"""The model card of a fitted protector, filled from its last audit."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sfumato.audit.measure.cell import Cell
from sfumato.audit.report.report import Report
from sfumato.audit.report.verdict import verdicts
from sfumato.audit.report.wording import percent, span, wording
from sfumato.files import at_home, write_bytes
from sfumato.protect.pretrained import CARD, PretrainedProtector, is_artifact
from sfumato.types import Protector

_END = "Not audited yet:"


def write_cards(protectors: Mapping[str, Protector], report: Report) -> None:
    """Write what an audit found into the cards of the protectors that are folders on disk."""
    for folder, protector in protectors.items():
        if isinstance(protector, PretrainedProtector) and is_artifact(folder):
            write_bytes(at_home(folder) / CARD, card(protector, report).encode())


def card(protector: PretrainedProtector, report: Report) -> str:
    """Return the model card in Markdown, with every figure of one protector."""
    head = str(protector.generate_model_card()).split(_END)[0]
    said = next(
        v for v in verdicts(report.cells, report.guarantees) if v.protector == protector.name
    )
    data = report.data
    rows = [
        f"| {wording(c.attack).title} | {c.role} | {c.finding.value:.3f} | {c.finding.floor:.3f} | "
        f"{_number(c.finding.ceiling)} | {_share(c)} |"
        for c in report.cells
        if c.protector == protector.name and c.finding is not None
    ]
    quick = " A quick look, not evidence." if report.settings.quick else ""
    lines = [
        f"{head.rstrip()}\n\n## Audit\n",
        f"{said.sentence}{quick}\n",
        f"{data.victims.count:,} victims' pictures of {data.victims.name}, an "
        f"adversary with {data.adversary.count:,} others ({data.disjoint}); Sfumato "
        f"{report.sfumato}, {report.created}.\n",
        "| | | figure | floor | ceiling | leakage, or kept (95 % interval) |",
        "| --- | --- | ---: | ---: | ---: | --- |",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _share(cell: Cell) -> str:
    found = cell.evidence
    if found is None or found.share is None or found.ends is None:
        return "not measurable"
    return f"{percent(found.share)} ({span(found.ends)})"


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "not measured"
