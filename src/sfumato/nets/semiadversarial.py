"""The networks of the paper `san`: an autoencoder steered by prototypes, an attribute classifier.

`PrototypeAutoencoder` and `AttributeClassifier` are the paper's. `ResidualAutoencoder` is ours: in
the paper's network the prototype meets the picture in one last linear layer, so what it changes
(before the sigmoid) is the same for every picture of a class; ours lets it act on the content.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

_CLASSIFIER_WIDTHS = (8, 16, 32, 64, 128, 256)  # the text gives the 256; we double up to it
_CLASSIFIER_HIDDEN = 128  # not in the text

Images = Float[Tensor, "n c h w"]
Prototypes = Float[Tensor, "n p h w"]


class PrototypeAutoencoder(nn.Module):
    """The paper's autoencoder (section 2.1, figure 2).

    Shapes: images `(n, c, h, w)` and prototypes `(n, p, h, w)` in [0, 1], h and w multiples of 4,
    to images `(n, c, h, w)`. At 224x224 the code is 56x56x12 and the decoder gives 224x224x128.
    """

    def __init__(self, channels: int = 1, prototype_channels: int = 3) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            _conv(channels + prototype_channels, 8),
            nn.LeakyReLU(),
            nn.AvgPool2d(2),
            _conv(8, 12),
            nn.LeakyReLU(),
            nn.AvgPool2d(2),
        )
        self.decoder = nn.Sequential(
            _conv(12, 256),
            nn.LeakyReLU(),
            nn.Upsample(scale_factor=2, mode="nearest"),
            _conv(256, 128),
            nn.LeakyReLU(),
            nn.Upsample(scale_factor=2, mode="nearest"),
        )
        self.combiner = _conv(128 + prototype_channels, channels)

    def forward(self, images: Images, same: Prototypes, target: Prototypes) -> Images:
        """Return the images, encoded with `same` and drawn with `target`."""
        decoded = self.decoder(self.encoder(torch.cat([images, same], 1)))
        drawn: Tensor = self.combiner(torch.cat([decoded, target], 1))
        return drawn.sigmoid()


class ResidualAutoencoder(nn.Module):
    """Ours: adds to every pixel at most `bound`, computed from picture and both prototypes.

    Shapes as in `PrototypeAutoencoder`. It starts as the identity.
    """

    def __init__(
        self,
        channels: int = 1,
        prototype_channels: int = 3,
        *,
        bound: float = 0.15,
        width: int = 24,
    ) -> None:
        super().__init__()
        self.bound = bound
        # Prototypes are smooth: the combiner sees them at a quarter of the size.
        self.stem = _conv(4 * (channels + prototype_channels), width)
        self.down = _conv(width, 2 * width, stride=2)
        self.encoder = nn.Sequential(_Block(2 * width), _Block(2 * width))
        self.combiner = _conv(2 * width + prototype_channels, 2 * width)
        self.decoder = nn.Sequential(_Block(2 * width), _Block(2 * width))
        self.up = _conv(2 * width, width)
        self.last = _conv(width, 4 * channels)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, images: Images, same: Prototypes, target: Prototypes) -> Images:
        """Return the images, changed by at most `bound` and cut to [0, 1]."""
        fine = F.leaky_relu(self.stem(F.pixel_unshuffle(torch.cat([images, same], 1) - 0.5, 2)))
        code = self.encoder(F.leaky_relu(self.down(fine)))
        wanted = F.avg_pool2d(target - same, 4)
        code = self.decoder(F.leaky_relu(self.combiner(torch.cat([code, wanted], 1))))
        wide = F.interpolate(self.up(code), scale_factor=2.0, mode="nearest")
        change = F.pixel_shuffle(self.last(F.leaky_relu(wide + fine)), 2)
        return (images + self.bound * change.tanh()).clamp(0, 1)


class AttributeClassifier(nn.Module):
    """The paper's classifier (section 2.2): six convolutions, LeakyReLU and 2x2 max pooling each.

    Shapes: `(n, c, h, w)` to one logit an attribute, `(n, attributes)`, positive for value 1. The
    paper's two outputs under a softmax are the same function as their difference under a sigmoid.
    Pooling keeps an odd last row, which alone gives the text's 4x4x256 at 224x224.
    """

    def __init__(self, channels: int, size: tuple[int, int], attributes: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip(
            (channels, *_CLASSIFIER_WIDTHS[:-1]), _CLASSIFIER_WIDTHS, strict=True
        ):
            layers += [_conv(before, after), nn.LeakyReLU(), nn.MaxPool2d(2, ceil_mode=True)]
        self.body = nn.Sequential(*layers)
        # Six halvings, each rounded up, are one division by 64, rounded up.
        left = -(-size[0] // 64) * -(-size[1] // 64)
        self.hidden = nn.Linear(_CLASSIFIER_WIDTHS[-1] * left, _CLASSIFIER_HIDDEN)
        self.last = nn.Linear(_CLASSIFIER_HIDDEN, 2 * attributes)

    def forward(self, images: Images) -> Float[Tensor, "n attributes"]:
        """Return logits."""
        # Centred input: without it the first layers see hardly more than mean brightness.
        maps = self.body((images - 0.5) * 4).flatten(1)
        pairs = self.last(F.leaky_relu(self.hidden(maps))).unflatten(1, (-1, 2))
        logits: Tensor = pairs[..., 1] - pairs[..., 0]
        return logits


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = _conv(width, width), _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.second(F.leaky_relu(self.first(x))))


def _conv(before: int, after: int, *, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride=stride, padding=1)
