"""The audit: protectors x attacks on the same data, measured, kept and reported.

`from sfumato.audit import audit, sides` and two lines more run one.
"""

from sfumato.audit.cell import Cell
from sfumato.audit.disjoint import sides
from sfumato.audit.report import Report, read_report
from sfumato.audit.run import audit

__all__ = ["Cell", "Report", "audit", "read_report", "sides"]
