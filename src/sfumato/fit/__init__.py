"""One training loop for every paper, and what it leaves on disk."""

from sfumato.fit.config import FitConfig
from sfumato.fit.loop import Epoch, History, Step, Validate, fit
from sfumato.fit.onecycle import one_cycle
from sfumato.fit.rehearsal import Stage, rehearsed

__all__ = [
    "Epoch",
    "FitConfig",
    "History",
    "Stage",
    "Step",
    "Validate",
    "fit",
    "one_cycle",
    "rehearsed",
]
