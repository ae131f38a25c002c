"""What `sfumato.audit` offers, loaded when first used."""

from .attacks import default_attacks, open_attack
from .measure.cell import Cell
from .measure.disjoint import sides
from .protectors import open_protector
from .report.compare import Comparison, compare
from .report.report import Report, read_report
from .report.verdict import Verdict, verdicts

__all__ = [
    "Cell",
    "Comparison",
    "Report",
    "Verdict",
    "compare",
    "default_attacks",
    "open_attack",
    "open_protector",
    "read_report",
    "sides",
    "verdicts",
]
