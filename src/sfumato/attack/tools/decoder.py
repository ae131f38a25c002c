"""Training of the decoder that draws pictures from releases, with three losses in any weighting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sfumato.attack.tools.fitting import validated_fit
from sfumato.attack.tools.read import Standard
from sfumato.device import Device, Precision
from sfumato.errors import ConfigError
from sfumato.fit import Epoch, fit
from sfumato.fit.outputs import outputs
from sfumato.nets.biggan import Discriminator, Generator, MapGenerator
from sfumato.nets.reconstructors import RECONSTRUCTORS, reconstructor
from sfumato.types import Training

# The authors' settings, for 384x128 pixels.
_PAPER_PIXEL, _PAPER_FEATURE, _PAPER_ADVERSARIAL = 0.0, 1.0, 0.06
_PAPER_LR = 1e-4
_PAPER_BATCH = 64
_PAPER_EPOCHS = 300  # of 200 steps

Images = Float[Tensor, "n c h w"]


Perceptual = Callable[[Tensor], Tensor]
"""Pictures in [0, 1] to early feature maps of some network, with gradients.

The paper takes "conv2 block3 out" of a ResNet-50. It must be a network that the adversary could
have: any but the victims' provider's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructionConfig:
    """What the decoder is trained for, and how hard."""

    pixel: float = 1.0
    """Weight of the mean squared error of pixels, as a share of their variance."""
    feature: float = 0.0
    """Weight of the mean squared error of perceptual maps, as a share of their variance."""
    adversarial: float = 0.0
    """Weight of the least-squares adversarial loss."""
    networks: tuple[str, ...] = ("generator",)
    """Which to try, the best on held-out pictures counts: `generator`, and of releases that are
    maps the four of the paper `obfuscator`: simrec, urec1, urec2, resrec."""
    width: int = 32
    """Channels of the generator at full size; deeper maps have up to eight times as many."""
    scale: float = 1.0
    """Of the other networks' channels."""
    epochs: int = 60
    """At most; early stop ends sooner."""
    batch_size: int = _PAPER_BATCH
    lr: float = 1e-3
    """Adam's, with BigGAN's decay rates."""
    restarts: int = 1
    """Trainings from other random weights; the best on held-out pictures counts."""
    patience: int | None = 15
    """Epochs without a better validated figure before the end."""
    validation: float = 0.1
    """Share of the adversary's own pictures held out to stop and to choose by."""
    most_validated: int = 256
    """Held-out pictures that are drawn and scored after each epoch, at most."""
    precision: Precision = "no"
    """Mixed precision in training; pictures are always drawn in full."""
    device: Device = "auto"

    def __post_init__(self) -> None:
        weights = (self.pixel, self.feature, self.adversarial)
        if min(weights) < 0 or not any(weights[:2]):
            raise ConfigError(
                "loss weights must not be negative, and pixel or feature must be positive; "
                f"got pixel {self.pixel:g}, feature {self.feature:g}, "
                f"adversarial {self.adversarial:g}"
            )
        if self.restarts < 1 or not 0 < self.validation < 1:
            raise ConfigError("restarts must be at least 1 and validation inside (0, 1)")
        unknown = set(self.networks) - {"generator", *RECONSTRUCTORS}
        if unknown or not self.networks:
            known = ", ".join(("generator", *RECONSTRUCTORS))
            raise ConfigError(f"networks are {known}; got {', '.join(self.networks) or 'none'}")

    @classmethod
    def paper(cls) -> ReconstructionConfig:
        """Return the authors' settings."""
        return cls(
            pixel=_PAPER_PIXEL,
            feature=_PAPER_FEATURE,
            adversarial=_PAPER_ADVERSARIAL,
            epochs=_PAPER_EPOCHS,
            batch_size=_PAPER_BATCH,
            lr=_PAPER_LR,
            width=64,
            patience=None,
        )

    def weights(self) -> dict[str, float]:
        """Return the loss weights by name."""
        return {
            "pixel": self.pixel,
            "feature": self.feature,
            "adversarial": self.adversarial,
        }


@dataclass(frozen=True, slots=True)
class Decoder:
    """A trained generator, and how good its pictures of held-out releases are."""

    net: nn.Module
    validated: float
    name: str = "generator"
    training: Training | None = None
    """Its curves, which show whether it converged; None where nothing was trained."""

    def __call__(self, rows: Float[Tensor, "n *shape"]) -> Images:
        """Return the pictures of standardised releases."""
        return draw(self.net, rows)


def draw(net: nn.Module, rows: Float[Tensor, "n *shape"]) -> Images:
    """Return the generator's pictures, in evaluation mode, on the CPU."""
    return outputs(net, rows)


class Copy(nn.Module):
    """Takes a release that is a picture for what it shows: the least that any adversary does."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.float())
        self.register_buffer("scale", scale.float())

    @classmethod
    def of(cls, standard: Standard) -> Copy:
        """Return what gives the release itself."""
        return cls(standard.mean, standard.scale)

    @classmethod
    def rescaled(cls, rows: Images, images: Images) -> Copy:
        """Return what gives the release in the originals' brightness, by least squares.

        A negative, or a picture in another unit, such as bytes, is the picture.
        """
        over = (0, 2, 3)
        shown, wanted = rows.double(), images.double()
        mean, middle = shown.mean(over, keepdim=True), wanted.mean(over, keepdim=True)
        along = ((shown - mean) * (wanted - middle)).mean(over, keepdim=True)
        spread = (shown - mean).square().mean(over, keepdim=True).clamp(min=1e-12)
        scale = along / spread
        return cls(middle - scale * mean, scale)

    def forward(self, rows: Images) -> Images:
        """Return the release in [0, 1]."""
        return (rows * self.scale + self.mean).clamp(0, 1)


def train_decoder(
    own: tuple[Float[Tensor, "n *shape"], Images],
    check: Float[Tensor, "m *shape"],
    validated: Callable[[Images], float],
    perceptual: Perceptual | None,
    config: ReconstructionConfig,
    *,
    network: str = "generator",
    seed: int,
) -> Decoder:
    """Train one of `config.networks` on the adversary's standardised releases and pictures.

    It stops by `validated`, higher is better, of the pictures drawn from the releases `check`.
    """
    rows, images = own
    torch.manual_seed(seed)
    networks = {
        # Convolutions on processors are up to three times as fast so.
        name: net.to(memory_format=torch.channels_last)
        for name, net in _networks(rows, images, config, network).items()
    }
    losses = _Losses(images, perceptual, config)
    optimizers = {
        name: torch.optim.Adam(net.parameters(), lr=config.lr, betas=(0.0, 0.999))
        if config.adversarial
        else torch.optim.Adam(net.parameters(), lr=config.lr)
        for name, net in networks.items()
    }
    generator = networks["generator"]
    history = fit(
        networks=networks,
        optimizers=optimizers,
        schedulers={
            name: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.epochs)
            for name, optimizer in optimizers.items()
        },
        data=(rows, images),
        step=losses.step,
        config=validated_fit(config, seed),
        validate=lambda: {"validated": validated(draw(generator, check))},
        title="attack: reconstruct",
    )
    return Decoder(
        generator, validated(draw(generator, check)), network, training=history.training()
    )


def _networks(
    rows: Float[Tensor, "n *shape"], images: Images, config: ReconstructionConfig, network: str
) -> dict[str, nn.Module]:
    channels, size = images.shape[1], (images.shape[2], images.shape[3])
    dim = rows[0].numel()
    generator: nn.Module
    if network != "generator":
        if rows.ndim != 4:
            raise ConfigError(
                f"{network} draws from maps, got rows of shape {tuple(rows.shape[1:])}"
            )
        maps = (rows.shape[1], rows.shape[2], rows.shape[3])
        generator = reconstructor(network, maps, (channels, *size), width=config.scale)
    elif rows.ndim == 4:
        given = (rows.shape[2], rows.shape[3])
        generator = MapGenerator(rows.shape[1], given, channels, size, width=config.width)
    else:
        generator = Generator(dim, channels, size, width=config.width)
    if not config.adversarial:
        return {"generator": generator}
    discriminator = Discriminator(dim, channels, size, width=config.width)
    return {"generator": generator, "discriminator": discriminator}


class _Losses:
    """The three losses of section III-C, and one step down them.

    Squared errors are divided by the variance of what they compare, which the paper does not do:
    its weights are for one perceptual network, and would mean another thing with each other one.
    """

    def __init__(
        self, images: Images, perceptual: Perceptual | None, config: ReconstructionConfig
    ) -> None:
        self.config, self.perceptual = config, perceptual
        self.pixel_scale = 1 / float(images.var().clamp(min=1e-6))
        self.map_scale = 1.0
        if perceptual is not None and config.feature:
            with torch.no_grad():
                maps = perceptual(images[:256])
            self.map_scale = 1 / float(maps.var().clamp(min=1e-12))

    def step(self, batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        """Descend the generator's losses, then the discriminator's."""
        rows, images = batch
        made = epoch.networks["generator"](rows)
        figures = {"loss": self._matching(made, images)}
        if not self.config.adversarial:
            epoch.descend("generator", figures["loss"])
            return figures
        critic = epoch.networks["discriminator"]
        fooled = (critic(made, rows) - 1).square().mean()
        epoch.descend("generator", figures["loss"] + self.config.adversarial * fooled)
        real, fake = critic(images, rows), critic(made.detach(), rows)
        figures["critic"] = ((real - 1).square().mean() + fake.square().mean()) / 2
        epoch.descend("discriminator", figures["critic"])
        return figures

    def _matching(self, made: Images, images: Images) -> Float[Tensor, ""]:
        loss = torch.zeros((), device=made.device)
        if self.config.pixel:
            loss = loss + self.config.pixel * self.pixel_scale * F.mse_loss(made, images)
        if self.config.feature and self.perceptual is not None:
            with torch.no_grad():
                wanted = self.perceptual(images)
            error = F.mse_loss(self.perceptual(made), wanted)
            loss = loss + self.config.feature * self.map_scale * error
        return loss
