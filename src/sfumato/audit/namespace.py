"""`sfumato.audit` can be called: the namespace of the audit runs one."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfumato.audit import attacks, protectors, run
    from sfumato.audit.measure import cell, disjoint
    from sfumato.audit.report import compare, report, verdict


class AuditNamespace(ModuleType):
    """The module `sfumato.audit`, which runs an audit when it is called."""

    if TYPE_CHECKING:  # a module can't be called for a type checker, so it sees an object
        __call__ = staticmethod(run.audit)
        Cell = cell.Cell
        Comparison = compare.Comparison
        Report = report.Report
        Verdict = verdict.Verdict
        compare = staticmethod(compare.compare)
        default_attacks = staticmethod(attacks.default_attacks)
        open_attack = staticmethod(attacks.open_attack)
        open_protector = staticmethod(protectors.open_protector)
        read_report = staticmethod(report.read_report)
        sides = staticmethod(disjoint.sides)
        verdicts = staticmethod(verdict.verdicts)
    else:

        def __call__(self, *args: Any, **settings: Any) -> Any:  # noqa: ANN401 - those of `audit`
            """Attack every protector in every way; the arguments are those of `audit.run.audit`."""
            from sfumato.audit.run import audit

            return audit(*args, **settings)
