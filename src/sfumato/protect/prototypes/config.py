"""How many prototypes, and how they are found; the defaults are those of pen-digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from sfumato.config import Preset, Presets, check_settings, nested, setting
from sfumato.device import Device, Precision
from sfumato.protect.deformation import Deformation
from sfumato.protect.prototypes.rule import Anonymity

_RELEASED = "What is released"

_PRESETS = {
    "drawn": Preset(
        "aligned faces of drawn people, and other pictures that must stay upright",
        {
            "prototypes": 16,
            "deformation": Deformation(light=0.2, shear=0.0, rotate=3.0, move=0.05, zoom=0.03),
            "epochs": 60,
            "batch_size": 240,
            "features": 8,
        },
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrototypesConfig(Presets):
    """How many prototypes, and how they are found.

    Raises:
        ConfigError: a setting is out of its range.
    """

    PRESETS: ClassVar[Mapping[str, Preset]] = _PRESETS

    prototypes: int = setting(
        40,
        "Pictures in the release, at most; those that break the rule are dropped.",
        least=2,
        panel=_RELEASED,
    )
    anonymity: Anonymity = nested(Anonymity, "What every released picture must stand for.")
    target: str | None = setting(
        None,
        "Release real pictures of this private value: take one that nobody is. Without it, a "
        "release is a mean over many people.",
        panel=_RELEASED,
    )
    deformation: Deformation = nested(
        Deformation, "What two pictures may differ in and still get the same release."
    )
    epochs: int = setting(24, "Passes over the images.", least=1)
    batch_size: int = setting(
        1024,
        "Images a step; large, as every private value must be able to use every prototype in it.",
        least=1,
    )
    lr: float = setting(4e-3, "Highest learning rate, of a one-cycle schedule.", above=0)
    features: int = setting(32, "Channels of the encoder at full size.", least=1)
    sharpness: float = setting(
        0.05, "Of the division: small values give each picture one prototype.", above=0
    )
    temperature: float = setting(0.1, "Of the prediction.", above=0)
    rounds: int = setting(20, "Of Sinkhorn's iteration.", least=1)
    precision: Precision = setting(
        "bf16", "Numbers of the training; 16 bits only where they are faster: a card, or AVX-512."
    )
    seed: int = 0
    """Every random draw."""
    device: Device = "auto"
    """Where networks train."""
    checkpoint: Path | None = field(default=None, compare=False)
    """File from which an interrupted training goes on."""

    def __post_init__(self) -> None:
        check_settings(self)
