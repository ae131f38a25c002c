"""What an obfuscator is trained for, and how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sfumato.device import Device
from sfumato.errors import ConfigError
from sfumato.nets.reconstructors import RECONSTRUCTORS
from sfumato.nets.vgg import DEEP_CUT
from sfumato.protect.augment import Deformation
from sfumato.protect.obfuscator.model import Stored

Objective = Literal["rate", "psnr", "bounded", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObfuscatorConfig:
    """What the obfuscator is trained for, and how long."""

    objective: Objective = "rate"
    """`rate` bounds what a map says beyond its class; `psnr` is the paper's; `bounded` is the
    paper's with errors counted down to the mean picture only; `none` protects nothing."""
    lam: float = 0.01
    """Weight of privacy against utility, lambda in eq. (2); cross-entropy per nat for `rate`."""
    epochs: int = 40
    """`rate` and `none`: passes over the data. `psnr` and `bounded`: of the warm-up."""
    cycles: int = 10
    """`psnr` and `bounded`: rounds of Algorithm 1 after the warm-up."""
    sub_epochs: int = 1
    """`psnr` and `bounded`: T_sub, epochs of each of the three turns of a round."""
    reconstructors: tuple[str, ...] = ("simrec",)
    """`psnr` and `bounded`: attackers to train against, all at once."""
    renew: int = 0
    """`psnr` and `bounded`: rounds after which an attacker, in turn, starts from new weights."""
    cut: int = DEEP_CUT
    """Entries of VGG16's plan before the cut; the paper's is `nets.vgg.PAPER_CUT`."""
    scale: float = 1.0
    """Of VGG16's channels; 0.25 trains on two cores."""
    attacker_scale: float = 1.0
    """Of the reconstructors' channels."""
    map_channels: int | None = None
    """Narrows the map; None keeps VGG16's channels at the cut."""
    stored: Stored = "int8"
    deformation: Deformation = field(
        default_factory=lambda: Deformation(rotate=8.0, zoom=0.1, shear=0.05, move=0.1)
    )
    """Augmentation."""
    flip: bool = False
    """Augmentation by mirror images; not for digits."""
    batch_size: int = 128
    lr: float = 2e-3
    """AdamW's, of a one-cycle schedule in the first stage, a tenth of it in the rounds."""
    initialisation: Literal["xavier", "torch"] = "xavier"
    """The paper's is Xavier's."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """Mixed precision of the training; bf16 halves the time on processors that have it."""
    seed: int = 0
    device: Device = "auto"
    checkpoint: Path | None = None
    """File from which an interrupted training goes on."""

    def __post_init__(self) -> None:
        unknown = set(self.reconstructors) - set(RECONSTRUCTORS)
        if unknown or not self.reconstructors:
            raise ConfigError(
                f"--reconstructor is any of {', '.join(RECONSTRUCTORS)}, got "
                f"{', '.join(sorted(unknown)) or 'none'}"
            )
        if self.lam < 0 or self.lr <= 0:
            raise ConfigError(f"--lam must not be negative and --lr above 0, got {self.lam:g}")

    @property
    def noise(self) -> float:
        """Standard deviation of the noise in the map: only the rate needs it."""
        return 1.0 if self.objective == "rate" else 0.0
