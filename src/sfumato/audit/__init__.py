"""The audit: protectors are attacked on the same data, and a report says what was learned.

`sfumato.audit(protectors, victims=..., adversary=..., private=...)` runs one.

Before:

- sides: splits a set into the victims' and the adversary's pictures.
- open_protector: returns a protector by its name, such as `pixelate:4`.
- open_attack: returns an attack by its name, such as `reconstruction`.
- default_attacks: returns the attacks that run where none are named.

After:

- Report: the result of an audit; `write` makes the page.
- read_report: opens a saved report.
- Cell: the result of one attack on one protector.
- verdicts: sums up the cells of each protector.
- Verdict: what the audit concludes about one protector.
- compare: compares two reports.
- Comparison: what `compare` found.
"""

from __future__ import annotations

import sys

import lazy_loader

from sfumato.audit.namespace import AuditNamespace

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
sys.modules[__name__].__class__ = AuditNamespace
