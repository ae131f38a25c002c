"""The audit: protectors x attacks on the same data, measured, kept and reported.

`from sfumato.audit import audit` and three lines run one.
"""

from sfumato.audit.report import Cell, Report, read_report, render
from sfumato.audit.run import audit

__all__ = ["Cell", "Report", "audit", "read_report", "render"]
