"""What the paper's anonymiser is trained for; the defaults are those of pen-digits.

The paper's text alone is the preset `plain`, which collapses here. What the defaults add to it:
a pixel term, a discriminator whose layers are bounded, private classifiers that are taught more
often, a code through a vector, and rates that fall. Losses and stages are the paper's in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from sfumato.config import Preset, Presets, check_settings, setting
from sfumato.device import Device
from sfumato.errors import ConfigError

_RELEASED = "What is released"
CLASSIFIERS = ("conv", "perceptron")
"""Of which the private branch may have several."""
_ADDED = "What the paper does not have"

_PRESETS = {
    "plain": Preset(
        "the paper's text alone, without what the defaults add; it collapses on pen-digits",
        {
            "pixel": 0.0,
            "numbers": 0,
            "discriminator": 1,
            "spectral": False,
            "classifiers": ("conv",),
            "private_steps": 1,
            "private_rate": 1.0,
            "settle": False,
            "pixel_epochs": 3,
        },
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymizerConfig(Presets):
    """What the autoencoder is trained for, and for how long.

    Raises:
        ConfigError: a setting is out of its range, or `substitute` has no `target`.
    """

    PRESETS: ClassVar[Mapping[str, Preset]] = _PRESETS

    lam: float = setting(2.0, "Weight of privacy, lambda of eq. (12).", least=0, panel=_RELEASED)
    target: str | None = setting(
        None,
        "Release pictures that look like this private value: the discriminator sees its originals "
        "alone (the paper's intertwined method).",
        panel=_RELEASED,
    )
    substitute: bool = setting(
        False, "Release the training picture of the target that is nearest.", panel=_RELEASED
    )
    pixel: float = setting(
        5.0, "Weight of the first stage's loss in the others.", least=0, panel=_ADDED
    )
    numbers: int = setting(
        32, "Numbers through which the code passes; 0 for none.", least=0, panel=_ADDED
    )
    discriminator: int = setting(
        2, "Channels of the discriminator, in those of the others.", least=1, panel=_ADDED
    )
    spectral: bool = setting(
        True, "Bound the discriminator's layers (spectral normalisation).", panel=_ADDED
    )
    classifiers: tuple[str, ...] = setting(
        ("perceptron", "perceptron"),
        "Classifiers of the private branch.",
        choices=CLASSIFIERS,
        panel=_ADDED,
    )
    private_steps: int = setting(
        4, "Batches that they learn for one of the autoencoder.", least=1, panel=_ADDED
    )
    private_rate: float = setting(
        2.0, "Their learning rate, in those of the others.", above=0, panel=_ADDED
    )
    settle: bool = setting(
        True, "Let all rates fall over the second half of the last stage.", panel=_ADDED
    )
    features: int = setting(8, "Channels of all networks at full size.", least=1)
    skips: bool = setting(False, "Hand the encoder's maps to the decoder.")
    pixel_epochs: int = setting(6, "Passes of the first stage: pixels alone.", least=1)
    discriminator_epochs: int = setting(2, "Passes of the second: a discriminator.", least=1)
    epochs: int = setting(8, "Passes of the last stage.", least=1)
    batch_size: int = setting(128, "Images a step.", least=1)
    lr: float = setting(1e-3, "Highest learning rate.", above=0)
    seed: int = 0
    """Every random draw."""
    device: Device = "auto"
    """Where networks train."""
    checkpoint: Path | None = field(default=None, compare=False)
    """Stem of the files from which an interrupted training goes on, one a stage."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.substitute and self.target is None:
            raise ConfigError("`substitute` needs `target`, whose pictures it releases")
