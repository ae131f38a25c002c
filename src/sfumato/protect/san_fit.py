"""Train a semi-adversarial network: the paper's two phases, or ours against many classifiers.

The paper's: pre-train the autoencoder (2) and one classifier, then train the autoencoder alone
against both frozen networks (5). Ours, for classifiers that nobody has seen: a crowd of different
classifiers, of which some change every round, random views, and all three outputs at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from sfumato.data.assemble import conform
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions
from sfumato.errors import ConfigError
from sfumato.fit.config import FitConfig
from sfumato.fit.loop import History, Turn, fit
from sfumato.protect.deform import LOOKS, Deformation, random_view
from sfumato.protect.san import STEER, Network, Output, SemiAdversarial
from sfumato.protect.san_crowd import Crowd, train_reader
from sfumato.protect.san_losses import (
    hinge_match_loss,
    joint_loss,
    pixel_loss,
    steered_loss,
    total_loss,
)
from sfumato.protect.san_prototypes import binary_labels, labelled, prototypes_of

_LEAST_WIDTH = 8
_LEAST_RATE = 0.05  # share of the learning rate that is left in the end
_MIX = {"OP": 0.5, "NT": 0.25, "SM": 0.25}  # the output that must work gets half of the pictures


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
    reader_epochs: int | None = None
    """Epochs of each reader of the crowd; None takes as many as of the own classifier."""
    epochs: int = 10
    """Epochs of joint training, in every round."""
    matcher_epochs: int = 8
    """Epochs of a matcher of one's own, where the caller has no other."""
    rounds: int = 2
    """Rounds of joint training; the crowd changes between them."""
    joint_images: int | None = None
    """Pictures of joint training, drawn at random; None takes all."""
    readers: int = 8
    """Classifiers in the crowd."""
    readers_a_step: int = 3
    """Classifiers that one step asks."""
    refreshed: int = 2
    """Classifiers replaced by new ones between rounds."""
    reader_width: int = 16
    """Channels of a reader's first layer, or a quarter less or more; at least 8."""
    reader_images: int = 3_000
    """Pictures from which each classifier of the crowd learns, drawn anew."""
    near: float = 0.0
    """How much nearer than they are classifiers look at pictures: 0.35 shows 0.65 of the side."""
    cover: float = 0.0
    """Share of the pictures of which classifiers do not see a part."""
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
    device: str = "auto"
    """auto, or cpu."""
    checkpoints: Path | None = None
    """Folder for the state of every stage, from which a killed run goes on."""

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.readers < 1 or self.readers_a_step < 1:
            raise ConfigError("--rounds, --readers and readers a step must be at least 1")
        if self.reader_epochs is not None and self.reader_epochs < 1:
            raise ConfigError(f"--reader-epochs must be at least 1, got {self.reader_epochs}")
        if self.reader_width < _LEAST_WIDTH:
            raise ConfigError(
                f"--reader-width must be at least {_LEAST_WIDTH}, got {self.reader_width}"
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
    def looks(self) -> Deformation:
        """How classifiers of the crowd look at a picture."""
        return replace(LOOKS, near=self.near, cover=self.cover)

    def stage(self, name: str, epochs: int) -> FitConfig:
        """Return the settings of one training stage."""
        return FitConfig(
            epochs=epochs,
            batch_size=self.batch_size,
            seed=self.seed,
            device="cpu" if self.device == "cpu" else "auto",
            checkpoint=None if self.checkpoints is None else self.checkpoints / f"{name}.ckpt",
        )


@dataclass(slots=True, kw_only=True)
class SanFit:
    """A trained network, the curves of its stages, and how many pictures had no label."""

    protector: SemiAdversarial
    histories: dict[str, History] = field(default_factory=dict)
    left_out: int = 0


def fit_san(
    images: ImageSet,
    private: tuple[str, ...],
    *,
    matcher: nn.Module,
    config: SanConfig,
    known: Sequence[nn.Module] = (),
) -> SanFit:
    """Train on these images; `matcher` maps images in [0, 1] of their size to embeddings.

    The matcher is frozen, and so are `known`, classifiers that join the crowd: they map images to
    one logit an attribute, positive for value 1. Pictures without one of the labels are left out
    and counted.

    Raises:
        DataError: an attribute is missing, not binary, or has one value.
        ConfigError: a setting is out of its range.
    """
    taken, left_out = labelled(images, private)
    height, width = taken.images.shape[2:]
    protector = SemiAdversarial(
        height=height,
        width=width,
        channels=config.channels,
        attributes=private,
        network=config.network,
        bound=config.bound,
        output=config.output,
    )
    # Prototypes are RGB also where the pictures are grey (section 3.2).
    protector.set_prototypes(prototypes_of(taken, private))
    chosen = SourceOptions(channels=1 if config.channels == 1 else 3)
    pictures, labels = conform(taken.images, chosen), binary_labels(taken, private)
    made = SanFit(protector=protector, left_out=left_out)
    torch.manual_seed(config.seed)
    stage = config.stage("classifier", config.classifier_epochs)
    made.histories["classifier"] = train_reader(
        protector.classifier, pictures, labels, stage, title="classifier"
    )
    matcher = matcher.requires_grad_(False).eval()
    if config.network == "paper":
        _train_as_paper(made, pictures, labels, matcher, config)
    else:
        _train_for_transfer(made, pictures, labels, matcher, config, known)
    protector.eval()
    return made


def _train_as_paper(
    made: SanFit,
    pictures: UInt8[Tensor, "n c h w"],
    labels: Int64[Tensor, "n k"],
    matcher: nn.Module,
    config: SanConfig,
) -> None:
    net = made.protector
    optimizer = torch.optim.Adam(net.autoencoder.parameters(), lr=config.learning_rate)

    def pretrain(batch: tuple[Tensor, ...], turn: Turn) -> Mapping[str, Tensor]:
        x = batch[0].float() / 255
        _follow(x.device, net, matcher)
        loss = pixel_loss(x, net.draw(x, batch[1], "SM"))
        # The sum over pixels (2) only scales the gradient; its mean keeps one learning rate.
        turn.descend("autoencoder", loss / x[0].numel())
        return {"pixel": loss / x[0].numel()}

    def joint(batch: tuple[Tensor, ...], turn: Turn) -> Mapping[str, Tensor]:
        x, y = batch[0].float() / 255, batch[1].float()
        x_sm, x_op = net.draw(x, batch[1], "SM"), net.draw(x, batch[1], "OP")
        with torch.no_grad():
            r = matcher(x)
        loss = joint_loss(y, net.classifier(x_sm), net.classifier(x_op), r, matcher(x_sm))
        turn.descend("autoencoder", loss)
        return {"loss": loss}

    net.classifier.requires_grad_(False).eval()
    parts = {"autoencoder": net.autoencoder}
    for name, step, epochs in (
        ("pretrain", pretrain, config.pretrain_epochs),
        ("joint", joint, config.epochs),
    ):
        rows = _some(pictures, labels, config.joint_images if name == "joint" else None, config)
        made.histories[name] = fit(
            networks=parts,
            optimizers={"autoencoder": optimizer},
            data=rows,
            step=step,
            config=config.stage(name, epochs),
            title=name,
        )


def _train_for_transfer(
    made: SanFit,
    pictures: UInt8[Tensor, "n c h w"],
    labels: Int64[Tensor, "n k"],
    matcher: nn.Module,
    config: SanConfig,
    known: Sequence[nn.Module],
) -> None:
    net = made.protector
    looks = config.looks
    crowd = Crowd(
        pictures,
        labels,
        config.reader_images,
        config.stage,
        known,
        width=config.reader_width,
        looks=looks,
    )
    reader_epochs = config.reader_epochs or config.classifier_epochs
    crowd.grow(config.readers, reader_epochs)
    optimizer = torch.optim.Adam(net.autoencoder.parameters(), lr=config.learning_rate)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, config.rounds * config.epochs, eta_min=_LEAST_RATE * config.learning_rate
    )

    def step(batch: tuple[Tensor, ...], turn: Turn) -> Mapping[str, Tensor]:
        x, y = batch[0].float() / 255, batch[1]
        _follow(x.device, net, matcher, *known)
        steer = _mixed(len(x)).to(x.device)[:, None].expand_as(y)
        drawn = net.steered(x, y, steer)
        asked = crowd.ask(config.readers_a_step)
        fooled = torch.stack(
            [steered_loss(y.float(), steer, reader(random_view(drawn, looks))) for reader in asked]
        ).mean()
        few = max(1, round(config.match_share * len(x)))
        with torch.no_grad():
            r = matcher(x[:few])
        matched = hinge_match_loss(r, matcher(drawn[:few]), config.match_free)
        changed = (drawn - x).square().mean() / config.bound**2
        loss = total_loss(
            config.pixel_weight * changed,
            config.attribute_weight * fooled,
            config.match_weight * matched,
        )
        turn.descend("autoencoder", loss)
        return {"loss": loss, "attribute": fooled, "match": matched, "pixel": changed}

    rows = _some(pictures, labels, config.joint_images, config)
    for number in range(config.rounds):
        if number:
            crowd.refresh(config.refreshed, reader_epochs)
        crowd.freeze()
        stage = replace(config.stage(f"joint-{number}", config.epochs), seed=config.seed + number)
        made.histories[f"joint-{number}"] = fit(
            networks={"autoencoder": net.autoencoder},
            optimizers={"autoencoder": optimizer},
            schedulers={"autoencoder": scheduler},
            data=rows,
            step=step,
            config=stage,
            title=f"joint training, round {number + 1} of {config.rounds}",
        )


def _follow(device: torch.device, *networks: nn.Module) -> None:
    """Bring what is not trained to where the batch is."""
    for network in networks:
        network.to(device)


def _mixed(count: int) -> Float[Tensor, "n"]:
    """Draw which output each picture of a batch trains."""
    values = torch.tensor([STEER[name] for name in _MIX])
    return values[torch.multinomial(torch.tensor(list(_MIX.values())), count, replacement=True)]


def _some(
    pictures: Tensor, labels: Tensor, count: int | None, config: SanConfig
) -> tuple[Tensor, Tensor]:
    if count is None or count >= len(pictures):
        return pictures, labels
    generator = torch.Generator().manual_seed(config.seed)
    chosen = torch.randperm(len(pictures), generator=generator)[:count]
    return pictures[chosen], labels[chosen]
