"""What the paper's anonymiser is trained for; the defaults are those of pen-digits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sfumato.config import Presets, check_settings, setting
from sfumato.device import Device
from sfumato.errors import ConfigError

_RELEASED = "What is released"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymizerConfig(Presets):
    """What the autoencoder is trained for, and for how long.

    Raises:
        ConfigError: a setting is out of its range, or `substitute` has no `target`.
    """

    lam: float = setting(2.0, "Weight of privacy, lambda of eq. (12).", least=0, panel=_RELEASED)
    pixel: float = setting(
        0.0,
        "Weight of a pixel term beside eq. (12), which the paper does not have.",
        least=0,
        panel=_RELEASED,
    )
    target: str | None = setting(
        None,
        "Release pictures that look like this private value: the discriminator sees its originals "
        "alone (the paper's intertwined method).",
        panel=_RELEASED,
    )
    substitute: bool = setting(
        False, "Release the training picture of the target that is nearest.", panel=_RELEASED
    )
    features: int = setting(8, "Channels of all networks at full size.", least=1)
    skips: bool = setting(False, "Hand the encoder's maps to the decoder.")
    pixel_epochs: int = setting(3, "Passes of the first stage: pixels alone.", least=1)
    discriminator_epochs: int = setting(2, "Passes of the second: a discriminator.", least=1)
    epochs: int = setting(8, "Passes of the last stage.", least=1)
    batch_size: int = setting(128, "Images a step.", least=1)
    lr: float = setting(1e-3, "Highest learning rate.", above=0)
    seed: int = 0
    """Every random draw."""
    device: Device = "auto"
    """Where networks train."""
    checkpoint: Path | None = None
    """Stem of the files from which an interrupted training goes on, one a stage."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.substitute and self.target is None:
            raise ConfigError("`substitute` needs `target`, whose pictures it releases")
