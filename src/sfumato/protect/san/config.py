"""Settings of a semi-adversarial network's training; the defaults are those that faces had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from sfumato.config import Preset, Presets, check_settings, setting
from sfumato.device import Device
from sfumato.protect.deformation import FACE_AUGMENTATION, Deformation

if TYPE_CHECKING:  # a command line lists these settings without loading PyTorch
    from sfumato.fit.config import FitConfig

Drawn = Literal["SM", "NT", "OP"]
"""Same, neutral or opposite prototype: what is drawn of a picture whose value is known."""
Output = Literal[Drawn, "coin"]
"""What `release` gives; `coin` draws the prototype at random, whatever the value is."""
Network = Literal["paper", "residual"]
Channels = Literal[1, 3]

_RELEASED = "What is released"
_ENSEMBLE = "Classifiers to train against (network residual)"
_LOSS = "Weights of the loss (network residual)"

_PRESETS = {
    "paper": Preset(
        "the paper's network and training, against one classifier",
        {
            "network": "paper",
            "pretrain_epochs": 3,
            "classifier_epochs": 5,
            "epochs": 10,
            "joint_images": 10_000,
            "learning_rate": 1e-3,
            "batch_size": 32,
        },
    ),
    "drawn": Preset(
        "coloured pictures that differ in little else, such as drawn faces",
        {
            "channels": 3,
            "bound": 0.15,
            "classifier_epochs": 3,
            "ensemble_epochs": None,
            "epochs": 6,
            "rounds": 2,
            "joint_images": 2_000,
            "ensemble": 6,
            "refreshed": 3,
            "ensemble_width": 16,
            "ensemble_images": 1_200,
            "near": 0.0,
            "cover": 0.0,
            "match_weight": 8.0,
            "match_free": 0.01,
            "match_share": 1.0,
            "pixel_weight": 0.5,
            "learning_rate": 1e-3,
            "batch_size": 32,
        },
    ),
    "quick": Preset(
        "a look in minutes: fewer classifiers, fewer pictures",
        {
            "classifier_epochs": 3,
            "ensemble_epochs": 4,
            "epochs": 8,
            "joint_images": 2_000,
            "ensemble": 3,
            "ensemble_width": 16,
            "ensemble_images": 4_000,
        },
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SanConfig(Presets):
    """How a semi-adversarial network is made and trained.

    Raises:
        ConfigError: a setting is out of its range.
    """

    PRESETS: ClassVar[Mapping[str, Preset]] = _PRESETS

    network: Network = setting(
        "residual", "Ours against many classifiers, or the paper's against one.", panel=_RELEASED
    )
    output: Output = setting(
        "OP",
        "What release gives: opposite, neutral or same prototype, or one that a coin draws.",
        panel=_RELEASED,
    )
    channels: Channels = setting(
        1, "Pictures that it takes and gives: 1 grey, as the paper's, or 3 RGB.", panel=_RELEASED
    )
    bound: float = setting(
        0.2, "residual: largest change of a pixel, of 1.", above=0, most=1, panel=_RELEASED
    )
    pretrain_epochs: int = setting(
        3, "paper: passes of drawing the picture itself first, eq. (2).", least=1
    )
    classifier_epochs: int = setting(6, "Passes of the classifier that release asks.", least=1)
    epochs: int = setting(9, "Passes of joint training a round.", least=1)
    matcher_epochs: int = setting(8, "Passes of a matcher of people, where none is given.", least=1)
    joint_images: int | None = setting(
        None, "Pictures of joint training, drawn at random; all without it.", least=1
    )
    learning_rate: float = setting(
        2e-3, "Adam's, of the autoencoder; residual lowers it along a cosine.", above=0
    )
    batch_size: int = setting(24, "Pictures a step.", least=1)
    rounds: int = setting(
        1,
        "Rounds of joint training; some classifiers are replaced between.",
        least=1,
        panel=_ENSEMBLE,
    )
    ensemble: int = setting(4, "Classifiers.", least=1, panel=_ENSEMBLE)
    ensemble_a_step: int = setting(2, "Classifiers that one step asks.", least=1, panel=_ENSEMBLE)
    refreshed: int = setting(
        0, "Classifiers replaced by new ones between rounds.", least=0, panel=_ENSEMBLE
    )
    ensemble_width: int = setting(
        24,
        "Channels of a classifier's first layer, a quarter less or more.",
        least=8,
        panel=_ENSEMBLE,
    )
    ensemble_images: int = setting(
        12_000, "Pictures from which each classifier learns, drawn anew.", least=2, panel=_ENSEMBLE
    )
    ensemble_epochs: int | None = setting(
        6,
        "Passes of each; as of the classifier that release asks, without it.",
        least=1,
        panel=_ENSEMBLE,
    )
    near: float = setting(
        0.35,
        "How much nearer they look at pictures: 0.35 shows 0.65 of the side.",
        least=0,
        below=1,
        panel=_ENSEMBLE,
    )
    cover: float = setting(
        0.5,
        "Share of the pictures of which they do not see a part.",
        least=0,
        most=1,
        panel=_ENSEMBLE,
    )
    attribute_weight: float = setting(1.0, "Of fooling the classifiers.", least=0, panel=_LOSS)
    match_weight: float = setting(24.0, "Of going on matching.", least=0, panel=_LOSS)
    match_free: float = setting(
        0.02, "Squared distance of embeddings that costs nothing.", least=0, panel=_LOSS
    )
    match_share: float = setting(
        0.25,
        "Share of a batch that the matcher, the largest network, looks at.",
        above=0,
        most=1,
        panel=_LOSS,
    )
    pixel_weight: float = setting(
        0.15, "Of the mean squared change of a pixel over the squared bound.", least=0, panel=_LOSS
    )
    seed: int = 0
    """Every random draw."""
    device: Device = "auto"
    """Where networks train."""
    checkpoint: Path | None = field(default=None, compare=False)
    """Folder for the state of every stage, from which a killed run goes on."""

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def augmentation(self) -> Deformation:
        """How classifiers of the ensemble look at a picture."""
        return replace(FACE_AUGMENTATION, near=self.near, cover=self.cover)

    def stage(self, name: str, epochs: int) -> FitConfig:
        """Return the settings of one training stage."""
        from sfumato.fit.config import FitConfig

        return FitConfig(
            epochs=epochs,
            batch_size=self.batch_size,
            seed=self.seed,
            device=self.device,
            about=self,
            checkpoint=None if self.checkpoint is None else self.checkpoint / f"{name}.ckpt",
        )
