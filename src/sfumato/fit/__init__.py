"""One training loop for every paper, and what it leaves on disk."""

from sfumato.fit.config import FitConfig
from sfumato.fit.loop import History, Step, Turn, Validate, fit
from sfumato.fit.onecycle import one_cycle

__all__ = ["FitConfig", "History", "Step", "Turn", "Validate", "fit", "one_cycle"]
