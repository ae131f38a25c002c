"""The four networks of the paper `obfuscator`, Table 1, that turn a feature map into a picture.

The table is for a map of 8x8x128 and a picture of 32x32x3. Here the number of doublings follows
from the sizes, and a width scales all channels. The table names convolutions and upsampling only;
each is followed by batch normalisation and ReLU, as in the VGG16 that it reverses, but for those
that have a picture's channels: a ReLU there throws half of a grey picture away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jaxtyping import Float
from torch import Tensor, nn

from sfumato.errors import ConfigError

Maps = Float[Tensor, "n c h w"]

_WIDEST = 256  # of the table


class SimRec(nn.Sequential):
    """Pairs of 3x3 convolutions, halving channels at each doubling; then 3x3 to the picture."""

    def __init__(self, maps: int, doublings: int, channels: int, *, width: float = 1.0) -> None:
        layers: list[nn.Module] = []
        last = maps
        for level in range(doublings):
            size = _scaled(128 >> level, width)
            layers += [*_conv(last, size), *_conv(size, size), nn.Upsample(scale_factor=2)]
            last = size
        super().__init__(*layers, nn.Conv2d(last, channels, 3, padding=1), nn.Sigmoid())


class _URec(nn.Sequential):
    """Groups of 3x3 convolutions, doubling channels at each doubling; then 3x3 and 1x1.

    Beyond the table's two doublings, channels stay at 256: full size would have 1,024 of them.
    """

    group: int

    def __init__(self, maps: int, doublings: int, channels: int, *, width: float = 1.0) -> None:
        layers: list[nn.Module] = []
        last = maps
        for level in range(doublings + 1):
            size = _scaled(min(64 << level, _WIDEST), width)
            for _ in range(self.group):
                layers += _conv(last, size)
                last = size
            if level < doublings:
                layers.append(nn.Upsample(scale_factor=2))
        ends = [nn.Conv2d(last, channels, 3, padding=1), nn.Conv2d(channels, channels, 1)]
        super().__init__(*layers, *ends, nn.Sigmoid())


class URec1(_URec):
    """URec#1: three convolutions a group."""

    group = 3


class URec2(_URec):
    """URec#2: two convolutions a group."""

    group = 2


class ResRec(nn.Sequential):
    """A transposed 3x3 convolution, then two residual blocks a size; then 1x1 to the picture."""

    def __init__(self, maps: int, doublings: int, channels: int, *, width: float = 1.0) -> None:
        size = _scaled(64, width)
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(maps, size, 3, padding=1),
            nn.BatchNorm2d(size),
            nn.ReLU(),
        ]
        for _ in range(doublings):
            layers += [_Residual(size), _Residual(size), nn.Upsample(scale_factor=2)]
        super().__init__(*layers, nn.Conv2d(size, channels, 1), nn.Sigmoid())


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv(channels, channels),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Maps) -> Maps:
        """Return relu(x + body(x))."""
        summed: Tensor = nn.functional.relu(x + self.body(x))
        return summed


RECONSTRUCTORS: Mapping[str, Callable[..., nn.Module]] = {
    "simrec": SimRec,
    "urec1": URec1,
    "urec2": URec2,
    "resrec": ResRec,
}
"""Table 1's networks by name."""


def reconstructor(
    name: str, maps: tuple[int, int, int], picture: tuple[int, int, int], *, width: float = 1.0
) -> nn.Module:
    """Return the named network from maps (c, h, w) to pictures (c, h, w) in [0, 1].

    Raises:
        ConfigError: no such network, or the picture is not the map doubled a few times.
    """
    if name not in RECONSTRUCTORS:
        raise ConfigError(f"{name!r} is none of: {', '.join(RECONSTRUCTORS)}")
    doublings = 0
    while maps[1] << doublings < picture[1]:
        doublings += 1
    if (maps[1] << doublings, maps[2] << doublings) != picture[1:]:
        raise ConfigError(
            f"expected a picture whose sides are a map's {maps[1]}x{maps[2]} doubled, got "
            f"{picture[1]}x{picture[2]}"
        )
    return RECONSTRUCTORS[name](maps[0], doublings, picture[0], width=width)


def _scaled(channels: int, width: float) -> int:
    return max(4, round(channels * width))


def _conv(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
