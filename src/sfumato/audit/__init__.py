"""The audit: protectors x attacks on the same data, measured, kept and reported.

`sfumato.audit.sides` and `sfumato.audit.audit` run one in three lines (docs/api.md).
"""

from sfumato.audit.measure.cell import Cell
from sfumato.audit.measure.disjoint import sides
from sfumato.audit.report.report import Report, read_report
from sfumato.audit.run import audit

__all__ = ["Cell", "Report", "audit", "read_report", "sides"]
