"""VGG16 with batch normalisation, cut in two: the first part makes maps, the rest classifies them.

The layers are torchvision's; a width scales every channel count. In the paper `obfuscator` the cut
is after the second pooling, where a 32x32 picture is an 8x8 map of 128 channels.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from sfumato.errors import ConfigError

PLAN: tuple[int | str, ...] = tuple(cfgs["D"])
"""VGG16: channels of each 3x3 convolution, "M" for 2x2 max pooling."""


def plan_of(width: float) -> list[int | str]:
    """Return VGG16's plan with channels scaled by `width`, at least 4 each."""
    return [entry if isinstance(entry, str) else max(4, round(entry * width)) for entry in PLAN]


def check_cut(cut: int, size: tuple[int, int]) -> None:
    """Raise a ConfigError where there is no such cut, or pictures are too small for the network."""
    if not 1 <= cut < len(PLAN):
        raise ConfigError(f"`cut` must be 1 to {len(PLAN) - 1} layers of VGG16, got {cut}")
    least = 2 ** PLAN.count("M")
    if min(size) < least:
        raise ConfigError(
            f"VGG16 halves a picture {PLAN.count('M')} times and needs at least {least}x{least} "
            f"pixels, got {size[1]}x{size[0]}; load the images with a larger `size`"
        )


def front(channels: int, cut: int, width: float) -> nn.Sequential:
    """Return the layers before the cut: `(n, channels, h, w)` to `(n, c, h / 2^p, w / 2^p)`."""
    return _layers(channels, plan_of(width)[:cut])


class Back(nn.Module):
    """The layers after the cut, mean over the last map, and one fully connected layer.

    Shapes: maps `(n, map_channels, h, w)` to logits `(n, classes)`. The paper does not say what
    follows VGG16's convolutions on 32x32 pictures; one linear layer is the usual choice.
    """

    def __init__(self, map_channels: int, classes: int, cut: int, width: float) -> None:
        super().__init__()
        plan = plan_of(width)[cut:]
        self.layers = _layers(map_channels, plan)
        last = next((entry for entry in reversed(plan) if isinstance(entry, int)), map_channels)
        self.head = nn.Linear(last, classes)

    def forward(self, maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Return logits."""
        logits: Tensor = self.head(self.layers(maps).mean((2, 3)))
        return logits


def map_shape(size: tuple[int, int], cut: int, width: float) -> tuple[int, int, int]:
    """Return (channels, height, width) of the map at the cut."""
    plan = plan_of(width)[:cut]
    halvings = plan.count("M")
    channels = next(entry for entry in reversed(plan) if isinstance(entry, int))
    return channels, size[0] >> halvings, size[1] >> halvings


@torch.no_grad()
def xavier(net: nn.Module) -> None:
    """Draw every convolution and linear layer as Glorot and Bengio (2010) do; biases become 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _layers(channels: int, plan: list[int | str]) -> nn.Sequential:
    layers: nn.Sequential = make_layers(plan, batch_norm=True)
    where = next((i for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)), None)
    if where is not None:  # a cut before a pooling leaves the pooling first
        first = layers[where]
        assert isinstance(first, nn.Conv2d)  # noqa: S101 - found as one
        layers[where] = nn.Conv2d(channels, first.out_channels, 3, padding=1)
    return layers
