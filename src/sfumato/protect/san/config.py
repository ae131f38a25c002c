"""Settings of a semi-adversarial network's training, checked where they are made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sfumato.device import Device
from sfumato.errors import ConfigError
from sfumato.fit.config import FitConfig
from sfumato.protect.augment import FACE_AUGMENTATION, Deformation
from sfumato.protect.san.model import Network, Output

_LEAST_WIDTH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SanConfig:
    """How a semi-adversarial network is made and trained; the defaults are ours."""

    network: Network = "residual"
    """`paper` trains as the paper does, `residual` for transfer."""
    output: Output = "OP"
    """What `release` will give."""
    channels: int = 1
    """1 grey, 3 RGB."""
    bound: float = 0.15
    """Largest change of a pixel, of 1; `residual` only."""
    pretrain_epochs: int = 3
    """Epochs of (2); `residual` starts as the identity and needs none."""
    classifier_epochs: int = 5
    """Epochs of the own classifier."""
    ensemble_epochs: int | None = None
    """Epochs of each classifier of the ensemble; None takes as many as of the own classifier."""
    epochs: int = 10
    """Epochs of joint training, in every round."""
    matcher_epochs: int = 8
    """Epochs of a matcher of one's own, where the caller has no other."""
    rounds: int = 2
    """Rounds of joint training; the ensemble changes between them."""
    joint_images: int | None = None
    """Pictures of joint training, drawn at random; None takes all."""
    ensemble: int = 8
    """Classifiers in the ensemble."""
    ensemble_a_step: int = 3
    """Classifiers that one step asks."""
    refreshed: int = 2
    """Classifiers replaced by new ones between rounds."""
    ensemble_width: int = 16
    """Channels of each first layer, plus or minus a quarter; at least 8."""
    ensemble_images: int = 3_000
    """Pictures from which each classifier of the ensemble learns, drawn anew."""
    near: float = 0.0
    """Largest random zoom of what the classifiers see: 0.35 shows down to 65 % of each side."""
    cover: float = 0.0
    """Share of pictures that have a part covered before the classifiers see them."""
    attribute_weight: float = 1.0
    """Weight of the attribute term."""
    match_weight: float = 8.0
    """Weight of the matching term."""
    match_free: float = 0.01
    """Squared distance of embeddings that costs nothing."""
    match_share: float = 0.34
    """Share of a batch that the matcher looks at: it is the largest network."""
    pixel_weight: float = 0.5
    """Weight of the mean squared change of a pixel over `bound` squared."""
    learning_rate: float = 1e-3
    """Of the autoencoder, with Adam; `residual` lowers it along a cosine."""
    batch_size: int = 32
    """Pictures a step."""
    seed: int = 0
    """Every random draw."""
    device: Device = "auto"
    """Where networks train."""
    checkpoints: Path | None = None
    """Folder for the state of every stage, from which a killed run goes on."""

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.ensemble < 1 or self.ensemble_a_step < 1:
            raise ConfigError("--rounds, --ensemble and classifiers a step must be at least 1")
        if self.ensemble_epochs is not None and self.ensemble_epochs < 1:
            raise ConfigError(f"--ensemble-epochs must be at least 1, got {self.ensemble_epochs}")
        if self.ensemble_width < _LEAST_WIDTH:
            raise ConfigError(
                f"--ensemble-width must be at least {_LEAST_WIDTH}, got {self.ensemble_width}"
            )
        if not 0 <= self.near < 1:
            raise ConfigError(f"--near is at least 0 and below 1, got {self.near:g}")
        if not 0 <= self.cover <= 1:
            raise ConfigError(f"--cover is a share from 0 to 1, got {self.cover:g}")
        if not 0 < self.match_share <= 1:
            raise ConfigError(f"--match-share is above 0 and at most 1, got {self.match_share:g}")
        if not self.learning_rate > 0:
            raise ConfigError(f"--learning-rate is above 0, got {self.learning_rate:g}")

    @property
    def augmentation(self) -> Deformation:
        """How classifiers of the ensemble look at a picture."""
        return replace(FACE_AUGMENTATION, near=self.near, cover=self.cover)

    def stage(self, name: str, epochs: int) -> FitConfig:
        """Return the settings of one training stage."""
        return FitConfig(
            epochs=epochs,
            batch_size=self.batch_size,
            seed=self.seed,
            device=self.device,
            checkpoint=None if self.checkpoints is None else self.checkpoints / f"{name}.ckpt",
        )
