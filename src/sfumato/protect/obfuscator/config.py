"""What an obfuscator is trained for, and how long; the defaults are those that MNIST had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from sfumato.config import Preset, Presets, check_settings, nested, setting
from sfumato.device import Device, Precision
from sfumato.errors import ConfigError
from sfumato.nets.cuts import DEEP_CUT, PAPER_CUT
from sfumato.protect.deformation import Deformation

Objective = Literal["rate", "psnr", "bounded", "none"]
Stored = Literal["int8", "bf16"]
_ATTACKERS = ("simrec", "urec1", "urec2", "resrec")

_MAPS = "What is released"
_ROUNDS = "Algorithm 1 (objectives psnr and bounded)"

_PRESETS = {
    "paper": Preset(
        "the paper's objective, cut and rounds",
        {
            "objective": "psnr",
            "cut": PAPER_CUT,
            "lam": 1.0,
            "epochs": 8,
            "cycles": 10,
            "map_channels": None,
        },
    ),
    "colour": Preset("coloured photographs", {"flip": True, "map_channels": 16, "epochs": 20}),
    "drawn": Preset("drawn people", {"flip": True, "map_channels": 16}),
    "quick": Preset(
        "a look in minutes: an eighth of VGG16's channels", {"scale": 0.125, "epochs": 12}
    ),
}


def _views() -> Deformation:
    return Deformation(rotate=8.0, zoom=0.1, shear=0.05, move=0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObfuscatorConfig(Presets):
    """What the obfuscator is trained for, and how long.

    Raises:
        ConfigError: a setting is out of its range.
    """

    PRESETS: ClassVar[Mapping[str, Preset]] = _PRESETS

    objective: Objective = setting(
        "rate",
        "rate bounds what a map says beyond its class; psnr is the paper's; bounded counts its "
        "errors down to the mean picture; none protects nothing.",
        panel=_MAPS,
    )
    lam: float = setting(
        0.1,
        "Weight of privacy against utility, lambda in eq. (2); cross-entropy per nat for rate.",
        least=0,
        panel=_MAPS,
    )
    most_nats: float = setting(
        1.0,
        "The most that any map says beyond the class that it tells, in nats; of rate.",
        least=0,
        panel=_MAPS,
    )
    cut: int = setting(
        DEEP_CUT,
        "Layers of VGG16 (poolings too) in the obfuscator; 6 is the paper's, deeper maps need to "
        "say less.",
        least=1,
        most=17,
        panel=_MAPS,
    )
    scale: float = setting(
        0.25, "Channels of VGG16, times this; 0.25 suits two cores.", above=0, most=4, panel=_MAPS
    )
    map_channels: int | None = setting(
        8, "Channels of the stored maps; VGG16's at the cut, without it.", least=1, panel=_MAPS
    )
    stored: Stored = setting("int8", "Numbers in stored maps.", panel=_MAPS)
    epochs: int = setting(
        24, "Passes over the images; of psnr and bounded, of the warm-up.", least=1
    )
    batch_size: int = setting(128, "Images a step.", least=1)
    lr: float = setting(
        2e-3,
        "AdamW's, of a one-cycle schedule in the first stage, a tenth of it in the rounds.",
        above=0,
    )
    initialisation: Literal["xavier", "torch"] = setting("xavier", "The paper's is Xavier's.")
    precision: Precision = setting(
        "bf16", "Numbers of the training; 16 bits only where they are faster: a card, or AVX-512."
    )
    teachers: int = setting(
        0,
        "Networks, two at least, each of which labels pictures that it did not see; the obfuscator "
        "learns from those labels, and its maps hardly tell who was in its training; 0: true "
        "labels. Of rate and none.",
        least=0,
        most=20,
    )
    flip: bool = setting(False, "Mirror images while training; not digits.")
    deformation: Deformation = nested(_views, "Augmentation.")
    cycles: int = setting(10, "Rounds after the warm-up.", least=1, panel=_ROUNDS)
    sub_epochs: int = setting(
        1, "T_sub: passes of each of the three parts of a round.", least=1, panel=_ROUNDS
    )
    reconstructors: tuple[str, ...] = setting(
        ("simrec",),
        "Attacker to train against; repeatable.",
        flag="reconstructor",
        choices=_ATTACKERS,
        panel=_ROUNDS,
    )
    renew: int = setting(
        0,
        "Rounds after which an attacker, one after the other, starts from new weights; 0: never.",
        least=0,
        panel=_ROUNDS,
    )
    attacker_scale: float | None = setting(
        None, "Of the reconstructors' channels; as of VGG16's without it.", above=0, panel=_ROUNDS
    )
    seed: int = 0
    """Every random draw."""
    device: Device = "auto"
    """Where networks train."""
    checkpoint: Path | None = field(default=None, compare=False)
    """File from which an interrupted training goes on."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.teachers == 1 or (self.teachers and self.objective in ("psnr", "bounded")):
            raise ConfigError(
                "`teachers` are 0, or 2 and more with the objective rate or none; got "
                f"{self.teachers} with {self.objective}"
            )

    @property
    def noise(self) -> float:
        """Standard deviation of the noise in the map: only the rate needs it."""
        return 1.0 if self.objective == "rate" else 0.0
