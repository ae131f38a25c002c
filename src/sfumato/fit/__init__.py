"""One training loop for every paper, and what it leaves on disk."""

from sfumato.fit.config import FitConfig
from sfumato.fit.loop import Epoch, History, Step, Validate, fit
from sfumato.fit.onecycle import one_cycle

__all__ = ["Epoch", "FitConfig", "History", "Step", "Validate", "fit", "one_cycle"]
