"""Generator and discriminator of the paper `shufflebits`, after BigGAN (Brock and others, 2019).

There are five residual blocks at the paper's 384x128 pixels; smaller pictures take fewer, so that
the smallest map keeps about 4 pixels on its shorter side. Any size and aspect ratio is possible.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

_MOST_BLOCKS = 5  # the paper's number
_SMALLEST = 4  # pixels on the shorter side of the smallest map
_WIDEST = 8  # times `width`


def blocks_for(size: tuple[int, int]) -> int:
    """Return how many times a picture of this (height, width) is halved: 1 to 5."""
    blocks = 1
    while blocks < _MOST_BLOCKS and min(size) >= _SMALLEST << (blocks + 1):
        blocks += 1
    return blocks


def smallest_map(size: tuple[int, int], blocks: int) -> tuple[int, int]:
    """Return the map that `blocks` doublings make at least as large as the picture."""
    height, width = (-(-side // (1 << blocks)) for side in size)
    return height, width


def channel_plan(width: int, blocks: int) -> list[int]:
    """Return the channels from the smallest map to the full size."""
    return [width * min(1 << level, _WIDEST) for level in range(blocks, -1, -1)]


class Generator(nn.Module):
    """Features to pictures: two fully connected layers, upsampling residual blocks, a convolution.

    Shapes: `(n, ...)`, flattened to `(n, dim)`, to `(n, channels, *size)` in [0, 1].
    """

    def __init__(self, dim: int, channels: int, size: tuple[int, int], *, width: int = 32) -> None:
        super().__init__()
        blocks = blocks_for(size)
        plan = channel_plan(width, blocks)
        self.size, self.start = size, (plan[0], *smallest_map(size, blocks))
        hidden = max(dim, plan[0])
        self.dense = nn.Sequential(
            nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, torch.Size(self.start).numel())
        )
        self.blocks = nn.Sequential(
            *(UpBlock(plan[i], plan[i + 1]) for i in range(blocks)),
            nn.BatchNorm2d(plan[-1]),
            nn.ReLU(),
            nn.Conv2d(plan[-1], channels, 3, padding=1),
        )

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n c h w"]:
        """Return pictures; what the doublings made too large is cut evenly."""
        maps: Tensor = self.blocks(self.dense(x.flatten(1)).view(-1, *self.start))
        return _centre(maps, self.size).sigmoid()


class MapGenerator(nn.Module):
    """Feature maps or pictures to pictures: residual blocks that double the map to its size.

    Shapes: `(n, before, h, w)` to `(n, channels, *size)` in [0, 1].
    """

    def __init__(
        self,
        before: int,
        given: tuple[int, int],
        channels: int,
        size: tuple[int, int],
        *,
        width: int = 32,
    ) -> None:
        super().__init__()
        self.size = size
        doublings = 0
        while min(s // g for s, g in zip(size, given, strict=True)) >= 2 << doublings:
            doublings += 1
        wide = 2 * width
        self.body = nn.Sequential(
            nn.Conv2d(before, wide, 3, padding=1),
            *(FlatBlock(wide) for _ in range(3)),
            *(UpBlock(wide, wide) for _ in range(doublings)),
            FlatBlock(wide),
        )
        self.head = nn.Sequential(
            nn.BatchNorm2d(wide), nn.ReLU(), nn.Conv2d(wide, channels, 3, padding=1)
        )

    def forward(self, x: Float[Tensor, "n k h w"]) -> Float[Tensor, "n c H W"]:
        """Return pictures."""
        maps: Tensor = self.body(x)
        if maps.shape[2:] != self.size:
            maps = F.interpolate(maps, self.size, mode="bilinear", align_corners=False)
        pictures: Tensor = self.head(maps).sigmoid()
        return pictures


class Discriminator(nn.Module):
    """Says how real a picture looks for its features: a score, not a probability.

    Downsampling residual blocks with spectral normalisation, the global average, and a fully
    connected layer over that average joined to the features.
    Shapes: pictures `(n, channels, h, w)` and features `(n, ...)` to `(n,)`.
    """

    def __init__(self, dim: int, channels: int, size: tuple[int, int], *, width: int = 32) -> None:
        super().__init__()
        plan = [channels, *reversed(channel_plan(width, blocks_for(size))[:-1])]
        self.blocks = nn.Sequential(
            *(DownBlock(plan[i], plan[i + 1], first=i == 0) for i in range(len(plan) - 1))
        )
        self.head = spectral_norm(nn.Linear(plan[-1] + dim, 1))

    def forward(
        self, images: Float[Tensor, "n c h w"], features: Float[Tensor, "n ..."]
    ) -> Float[Tensor, "n"]:
        """Return scores: 1 is what it says of real pictures, 0 of made ones."""
        pooled = self.blocks(images).relu().mean((2, 3))
        scores: Tensor = self.head(torch.cat([pooled, features.flatten(1)], 1))
        return scores.squeeze(1)


class UpBlock(nn.Module):
    """Doubles the map: two normalised convolutions, and a way past them."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(before), nn.BatchNorm2d(after)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.skip = nn.Conv2d(before, after, 1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Return the doubled map."""
        y = F.interpolate(self.norm1(x).relu(), scale_factor=2.0)
        y = self.conv2(self.norm2(self.conv1(y)).relu())
        # The 1x1 convolution gives the same before and after doubling, at a quarter of the cost.
        past: Tensor = F.interpolate(self.skip(x), scale_factor=2.0)
        doubled: Tensor = y + past
        return doubled


class FlatBlock(nn.Module):
    """Keeps the map's size: two normalised convolutions, and a way past them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return the map."""
        added: Tensor = self.body(x)
        return x + added


class DownBlock(nn.Module):
    """Halves the map: two convolutions with spectral normalisation, and a way past them."""

    def __init__(self, before: int, after: int, *, first: bool) -> None:
        super().__init__()
        self.first = first  # a picture must not lose its dark half to a ReLU before any weight
        self.conv1 = spectral_norm(nn.Conv2d(before, after, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(after, after, 3, padding=1))
        self.skip = spectral_norm(nn.Conv2d(before, after, 1))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Return the halved map."""
        y = self.conv1(x if self.first else x.relu())
        y = F.avg_pool2d(self.conv2(y.relu()), 2)
        past: Tensor = self.skip(F.avg_pool2d(x, 2))
        return y + past


def _centre(maps: Float[Tensor, "n c H W"], size: tuple[int, int]) -> Float[Tensor, "n c h w"]:
    top, left = ((have - want) // 2 for have, want in zip(maps.shape[2:], size, strict=True))
    return maps[:, :, top : top + size[0], left : left + size[1]]
