"""Paper `san`: pictures that keep their identity and mislead classifiers of an attribute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sfumato.errors import ConfigError, DataError
from sfumato.nets.semiadversarial import (
    AttributeClassifier,
    PrototypeAutoencoder,
    ResidualAutoencoder,
)
from sfumato.protect.pretrained import PretrainedProtector
from sfumato.protect.san.config import Drawn, Network, Output

STEER = {"SM": 1.0, "NT": 0.5, "OP": 0.0}
"""What each output asks of a classifier: the true value, no decision, the other value."""

_PROTOTYPE_CHANNELS = 3
_NEUTRAL = 2
_MULTIPLE = 4  # the autoencoders halve twice
_LEAST = 16


class SemiAdversarial(PretrainedProtector):
    """An autoencoder steered by prototypes, with the classifier that says which is a picture's own.

    `network` is "paper" (its autoencoder) or "residual" (ours, which changes no pixel by more than
    `bound`). `output` is what `release` gives. The prototype to oppose follows from the label;
    `release` has no labels and takes the own classifier's word, `draw` takes the true ones.

    With the output "coin" the prototype is drawn at random: by torch's generator, which a release
    seeds from its secret, alike for all pictures with one value of the label `person`. Nothing of
    the true value enters, so the network draws each picture from the neutral prototype on.

    Raises:
        ConfigError: a setting is out of its range.
    """

    kind: ClassVar[str] = "san"

    def __init__(
        self,
        *,
        height: int,
        width: int,
        channels: int = 1,
        attributes: Sequence[str] = ("gender",),
        network: Network = "residual",
        bound: float = 0.15,
        output: Output = "OP",
        person: str = "identity",
    ) -> None:
        super().__init__()
        check_settings(height, width, channels, attributes, network, bound, output)
        self.channels, self.height, self.width = channels, height, width
        self.attributes, self.network, self.output = tuple(attributes), network, output
        self.person = person
        wide = _PROTOTYPE_CHANNELS * len(self.attributes)
        self.autoencoder: nn.Module = (
            PrototypeAutoencoder(channels, wide)
            if network == "paper"
            else ResidualAutoencoder(channels, wide, bound=bound)
        )
        self.classifier = AttributeClassifier(channels, (height, width), len(self.attributes))
        # Three prototypes an attribute: of value 0, of value 1, neutral.
        shape = (len(self.attributes), 3, _PROTOTYPE_CHANNELS, height, width)
        self.prototypes: Tensor
        self.register_buffer("prototypes", torch.zeros(shape))

    @property
    def name(self) -> str:
        """`san:` with the output that it releases."""
        return f"san:{self.output}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images that it takes."""
        return self.channels, self.height, self.width

    @property
    def private(self) -> tuple[str, ...]:
        """The attributes that it hides."""
        return self.attributes

    def set_prototypes(self, prototypes: Float[Tensor, "k three p h w"]) -> None:
        """Take prototypes from `san_prototypes`.

        Raises:
            DataError: they are of another size, or of another number of attributes.
        """
        if prototypes.shape != self.prototypes.shape:
            raise DataError(
                f"expected prototypes of shape {tuple(self.prototypes.shape)}, got "
                f"{tuple(prototypes.shape)}; make them from pictures of the network's size"
            )
        self.prototypes.copy_(prototypes)

    def guess(self, images: Float[Tensor, "n c h w"]) -> Int64[Tensor, "n k"]:
        """Return what the own classifier takes the attributes for."""
        logits: Tensor = self.classifier(images)
        return (logits > 0).long()

    @property
    def drawn_per(self) -> str | None:
        """The label whose pictures share one random draw of a release; None where none is drawn."""
        return self.person if self.output == "coin" else None

    def draw(
        self, images: Float[Tensor, "n c h w"], labels: Int64[Tensor, "n k"], output: Drawn
    ) -> Float[Tensor, "n c h w"]:
        """Return SM, NT or OP of images whose attributes are known.

        With the output "coin" SM is what is released where the coin shows the true value, OP where
        it shows the other one.

        Raises:
            DataError: an image has no label of an attribute.
        """
        if bool(((labels < 0) | (labels > 1)).any()):
            missing = int(((labels < 0) | (labels > 1)).any(1).sum())
            raise DataError(
                f"{missing} images have no {' or '.join(self.attributes)}; leave them out, or use "
                "release, which guesses"
            )
        steer = torch.full(labels.shape, STEER[output], device=labels.device)
        return self.steered(images, labels, steer)

    def steered(
        self,
        images: Float[Tensor, "n c h w"],
        labels: Int64[Tensor, "n k"],
        steer: Float[Tensor, "n k"],
    ) -> Float[Tensor, "n c h w"]:
        """Return each image with its own choice of prototypes, given as values of `STEER`."""
        opposed = torch.where(steer == STEER["OP"], 1 - labels, labels)
        wanted = torch.where(steer == STEER["NT"], _NEUTRAL, opposed)
        own = torch.full_like(labels, _NEUTRAL) if self.output == "coin" else labels
        drawn: Tensor = self.autoencoder(images, self._chosen(own), self._chosen(wanted))
        return drawn

    def toward(
        self, images: Float[Tensor, "n c h w"], targets: Int64[Tensor, "n k"]
    ) -> Float[Tensor, "n c h w"]:
        """Return images drawn with the prototypes of these values, whatever their own are."""
        return self.steered(images, targets, torch.ones_like(targets, dtype=images.dtype))

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return the output of images without labels."""
        if self.output == "coin":
            return self.toward(images, self.coins(len(images)).to(images.device))
        labels = self.guess(images)
        steer = torch.full_like(labels, STEER[self.output], dtype=images.dtype)
        return self.steered(images, labels, steer)

    def coins(self, count: int) -> Int64[Tensor, "count k"]:
        """Draw the values that the outputs of so many images shall show."""
        # On the CPU, whose generator is the one that a release seeds.
        return torch.randint(0, 2, (count, len(self.attributes)))

    def _chosen(self, which: Int64[Tensor, "n k"]) -> Float[Tensor, "n p h w"]:
        """Return one prototype an attribute for each image, side by side as channels."""
        parts = [self.prototypes[k].index_select(0, which[:, k]) for k in range(which.shape[1])]
        return torch.cat(parts, 1)


def check_settings(
    height: int,
    width: int,
    channels: int,
    attributes: Sequence[str],
    network: str,
    bound: float,
    output: str,
) -> None:
    """Raise a ConfigError where a setting of a network is out of its range."""
    if min(height, width) < _LEAST or height % _MULTIPLE or width % _MULTIPLE:
        raise ConfigError(
            f"`size`: expected multiples of {_MULTIPLE} from {_LEAST}, got {height}x{width}"
        )
    if channels not in (1, 3):
        raise ConfigError(f"`channels` is 1 (grey) or 3 (RGB), got {channels}")
    if not attributes or isinstance(attributes, str):
        raise ConfigError(f"`private`: expected names of attributes, got {attributes!r}")
    if network not in ("paper", "residual"):
        raise ConfigError(f"`network` is paper or residual, got {network!r}")
    if not 0 < bound <= 1:
        raise ConfigError(f"`bound` is above 0 and at most 1, got {bound:g}")
    if output not in (*STEER, "coin"):
        raise ConfigError(f"`output` is one of {', '.join(STEER)} and coin, got {output!r}")
