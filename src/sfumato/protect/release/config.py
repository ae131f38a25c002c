"""How a classifier of stored maps is trained."""

from __future__ import annotations

from dataclasses import dataclass

from sfumato.config import Presets, check_settings, setting
from sfumato.device import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class MapClassifierConfig(Presets):
    """How the classifier is trained.

    Raises:
        ConfigError: a setting is out of its range.
    """

    epochs: int = setting(15, "Passes over the maps.", least=1)
    batch_size: int = setting(64, "Maps a step.", least=1)
    lr: float = setting(2e-3, "AdamW's, of a one-cycle schedule.", above=0)
    seed: int = 0
    """Every random draw."""
    device: Device = "auto"
    """Where the classifier trains."""

    def __post_init__(self) -> None:
        check_settings(self)
