"""How long a network of an attacker trains: until what it is validated on stops growing."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from sfumato.device import Device, Precision
from sfumato.fit.config import FitConfig


@runtime_checkable
class AttackerSettings(Protocol):
    """What settings of an attacker's networks have in common."""

    @property
    def epochs(self) -> int:
        """Most passes over the data."""
        ...

    @property
    def batch_size(self) -> int:
        """Rows a step."""
        ...

    @property
    def patience(self) -> int | None:
        """Epochs without growth after which training stops; None never stops it."""
        ...

    @property
    def precision(self) -> Precision:
        """Mixed precision of the forward passes."""
        ...

    @property
    def device(self) -> Device:
        """Where the networks train."""
        ...


def validated_fit(config: AttackerSettings, seed: int) -> FitConfig:
    """Return settings of a fit that watches the figure `validated`, of which more is better."""
    return FitConfig(
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=seed,
        device=config.device,
        precision=config.precision,
        patience=config.patience,
        monitor="validated",
        higher_is_better=True,
    )
