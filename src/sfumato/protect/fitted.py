"""What every training of a protector leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from sfumato.fit.loop import History
from sfumato.protect.pretrained import PretrainedProtector

ProtectorT = TypeVar("ProtectorT", bound=PretrainedProtector)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted(Generic[ProtectorT]):
    """A trained protector, the curves of its stages, and how many pictures it was made of."""

    protector: ProtectorT
    """On the CPU, ready to release."""
    histories: dict[str, History]
    """By the name of the stage, in their order."""
    trained: int
    """Pictures that it learned from."""
    left_out: int = 0
    """Pictures without a label that it needs."""
    checked: int = 0
    """Pictures kept aside, on which the figure `accuracy` of the histories is measured."""

    @property
    def accuracies(self) -> tuple[float, ...]:
        """On the pictures kept aside, after each epoch or round; empty where none were."""
        stages = self.histories.values()
        return tuple(
            figures["accuracy"] for s in stages for figures in s.epochs if "accuracy" in figures
        )
