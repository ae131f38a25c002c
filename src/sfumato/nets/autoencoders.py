"""Networks of the paper `anonymizer`: an autoencoder of pictures, and a discriminator.

The paper gives no sizes; these are ours.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

Images = Float[Tensor, "n c h w"]
_LEAK = 0.2  # of the discriminator's rectifiers, so that its gradient reaches every pixel


class ConvAutoencoder(nn.Module):
    """Two halvings down to a code of a quarter of the side, and back.

    Maps have `width`, 2 `width` and, in the code, `code` channels. With `skips` the maps before
    each halving are handed to the decoder as in a U-net; without, all passes through the code.
    With `numbers` the code of pictures of `size` passes through a vector of so many numbers.

    Shapes: images `(n, c, h, w)` of any h and w from 4, to images of the same shape in [0, 1].
    """

    def __init__(
        self,
        channels: int,
        *,
        width: int = 32,
        code: int = 32,
        skips: bool = False,
        numbers: int = 0,
        size: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.skips = skips
        shared = 2 if skips else 1
        self.first = _block(channels, width)
        self.second = _block(width, 2 * width)
        self.code = _block(2 * width, code)
        self.vector = _Vector(code, size, numbers) if numbers else nn.Identity()
        self.half_back = _block(code, 2 * width)
        self.full_back = _block(2 * width * shared, width)
        self.picture = nn.Conv2d(width * shared, channels, 3, padding=1)

    def forward(self, images: Images) -> Images:
        """Return the autoencoded images."""
        full = self.first(images)
        half = self.second(_down(full))
        code = self.vector(self.code(_down(half)))
        up = self._joined(_up(self.half_back(code), half), half)
        up = self._joined(_up(self.full_back(up), full), full)
        picture: Tensor = self.picture(up).sigmoid()
        return picture

    def _joined(self, up: Tensor, skipped: Tensor) -> Tensor:
        return torch.cat([up, skipped], 1) if self.skips else up


class _Vector(nn.Module):
    """A code of a picture of `size` through a vector of `numbers`, and back to its shape."""

    def __init__(self, channels: int, size: tuple[int, int], numbers: int) -> None:
        super().__init__()
        # Two halvings, each rounded up.
        shape = (channels, *(-(-side // 4) for side in size))
        flat = shape[0] * shape[1] * shape[2]
        self.body = nn.Sequential(
            nn.Flatten(),
            nn.Linear(flat, numbers),
            nn.BatchNorm1d(numbers),
            nn.Linear(numbers, flat),
            nn.BatchNorm1d(flat),
            nn.ReLU(),
            nn.Unflatten(1, shape),
        )

    def forward(self, code: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        passed: Tensor = self.body(code)
        return passed


class PictureDiscriminator(nn.Module):
    """Two strided convolutions and a layer: is this picture an original?

    With `spectral` each layer is divided by its largest singular value (Miyato and others 2018),
    so that its gradient stays of use to whoever it judges.

    Shapes: images `(n, c, h, w)`, to logits `(n,)` of being an original.
    """

    def __init__(
        self, channels: int, size: tuple[int, int], *, width: int = 32, spectral: bool = False
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=2),
            nn.LeakyReLU(_LEAK),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=2),
            nn.LeakyReLU(_LEAK),
            nn.Flatten(),
        )
        # A stride of 2 with this kernel and padding takes a side s to s // 2 + 1.
        height, across = ((side // 2 + 1) // 2 + 1 for side in size)
        self.head = nn.Linear(2 * width * height * across, 1)
        if spectral:
            for layer in (self.body[0], self.body[2], self.head):
                spectral_norm(layer)

    def forward(self, images: Images) -> Float[Tensor, "n"]:
        """Return logits; the larger, the more it takes the picture for an original."""
        logits: Tensor = self.head(self.body(images)).squeeze(1)
        return logits


class ConvEncoder(nn.Module):
    """Three stages with halvings between, averaged to 2 x 2 places, then one layer.

    Shapes: images `(n, c, h, w)`, h and w at least 8, to vectors `(n, dim)` of length 1.
    """

    def __init__(self, channels: int, *, width: int = 32, dim: int = 128) -> None:
        super().__init__()
        self.width, self.dim = width, dim
        self.body = nn.Sequential(
            _block(channels, width),
            nn.MaxPool2d(2),
            _block(width, 2 * width),
            nn.MaxPool2d(2),
            _block(2 * width, 4 * width),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * width, dim),
        )

    def forward(self, images: Images) -> Float[Tensor, "n dim"]:
        """Return unit vectors."""
        return F.normalize(self.body(images), dim=1)


class VectorEncoder(nn.Module):
    """Two layers, for what has no room for convolutions.

    Shapes: numbers `(n, *shape)`, `numbers` of them each, to vectors `(n, dim)` of length 1.
    """

    def __init__(self, numbers: int, *, width: int = 256, dim: int = 128) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(),
            nn.Linear(numbers, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Linear(width, dim),
        )

    def forward(self, rows: Float[Tensor, "n *shape"]) -> Float[Tensor, "n dim"]:
        """Return unit vectors."""
        return F.normalize(self.body(rows), dim=1)


class PrototypeMatcher(nn.Module):
    """An encoder, and directions in its space with which pictures are compared.

    Shapes: images `(n, c, h, w)` to cosine similarities `(n, prototypes)`.
    """

    def __init__(self, channels: int, prototypes: int, *, width: int = 32, dim: int = 128) -> None:
        super().__init__()
        self.encoder = ConvEncoder(channels, width=width, dim=dim)
        # Of length 1: only the direction counts, and longer ones would turn more slowly.
        self.prototypes = nn.Parameter(F.normalize(torch.randn(prototypes, dim), dim=1))

    def forward(self, images: Images) -> Float[Tensor, "n prototypes"]:
        """Return the similarity of each image to each prototype."""
        vectors = self.encoder(images)
        # Cosines of half precision are too coarse for a sharp choice between prototypes.
        with torch.autocast(vectors.device.type, enabled=False):
            similar: Tensor = vectors.float() @ F.normalize(self.prototypes, dim=1).T
        return similar


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
    )


def _down(maps: Tensor) -> Tensor:
    return F.max_pool2d(maps, 2, ceil_mode=True)


def _up(maps: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(maps, size=like.shape[2:], mode="nearest")
