"""Settings of one training run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sfumato.device import Device, Precision, parse_device
from sfumato.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """How long, how fast and where a network trains."""

    epochs: int
    """Passes over the data; early stop may end sooner."""
    batch_size: int = 128
    """Images a step, on each device."""
    seed: int = 0
    """Order of the batches and every random draw inside the step."""
    device: Device = "auto"
    """Where networks train; `auto` takes the accelerator(s) that `accelerate` finds."""
    precision: Precision = "no"
    """Mixed precision of the forward passes, where the device is faster with it."""
    checkpoint: Path | None = None
    """File to which the state is written between epochs and from which a killed run goes on."""
    about: object = None
    """What the result depends on besides the data: settings, networks that are given. A checkpoint
    of anything else is refused."""
    checkpoint_seconds: float = 20.0
    """Least time between two checkpoints; the last epoch is always written."""
    patience: int | None = None
    """Stop after this many epochs in which the validated figure did not improve."""
    monitor: str = "loss"
    """Name of the validated figure that `patience` watches."""
    higher_is_better: bool = False
    """Direction of `monitor`."""

    def __post_init__(self) -> None:
        parse_device(self.device)
        if self.epochs < 1 or self.batch_size < 1:
            raise ConfigError(
                "`epochs` and `batch_size` must be at least 1, "
                f"got {self.epochs} and {self.batch_size}"
            )
        if self.patience is not None and self.patience < 1:
            raise ConfigError(f"`patience` must be at least 1 epoch, got {self.patience}")
