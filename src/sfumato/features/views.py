"""Random views of a private picture: what an enrollment is trained on in place of the picture.

A network that saw a picture only turned, zoomed and moved tells less of whether it was among its
pictures, and knows its class better. Views are made of the network's input, after the backbone's
`Preprocess`: a large photograph is shrunk once, and an aligned face stays about where it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.device import device_of
from sfumato.errors import ConfigError
from sfumato.features.backbone import Backbone

_BATCH = 32  # views that go through the network at once
_DRAWS = 4  # numbers that make a view: angle, zoom, and both moves


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far views stray from a picture, each uniformly at random, and how many there are.

    Raises:
        ConfigError: a value is out of its range.
    """

    turn: float = 30.0
    """Degrees to either side."""
    zoom: float = 0.35
    """Up to 1 + zoom times larger or smaller, uniform in the logarithm."""
    move: float = 0.15
    """Share of the side, to either side, in both directions."""
    most: int = 32
    """Views of each of a few pictures."""
    total: int = 2048
    """Views of many pictures together: each has fewer, and one at least."""

    def __post_init__(self) -> None:
        if not (0 <= self.turn <= 180 and 0 <= self.zoom <= 1 and 0 <= self.move <= 0.5):
            raise ConfigError(
                "expected turn in [0, 180], zoom in [0, 1] and move in [0, 0.5], "
                f"got {self.turn}, {self.zoom} and {self.move}"
            )
        if min(self.most, self.total) < 1:
            raise ConfigError(f"expected most and total >= 1, got {self.most} and {self.total}")

    def views(self, count: int) -> int:
        """Return the number of views of each of `count` pictures."""
        return max(1, min(self.most, self.total // max(1, count)))


def draw_maps(
    count: int, augmentation: Augmentation, generator: torch.Generator
) -> Float[Tensor, "count 2 3"]:
    """Return random maps from places of a view to places of a square picture, both in [-1, 1].

    The page draws the same numbers from the same seed: four a view, in this order.
    """
    angle, zoom, right, down = (
        2 * torch.rand(count, _DRAWS, generator=generator, dtype=torch.float32).double() - 1
    ).T
    angle = angle * math.radians(augmentation.turn)
    scale = torch.exp(-zoom * math.log1p(augmentation.zoom))
    cos, sin = scale * angle.cos(), scale * angle.sin()
    moves = (2 * augmentation.move * right, 2 * augmentation.move * down)
    rows = (torch.stack([cos, -sin, moves[0]], 1), torch.stack([sin, cos, moves[1]], 1))
    return torch.stack(rows, 1).float()


def warped(
    inputs: Float[Tensor, "n c h w"], maps: Float[Tensor, "n 2 3"]
) -> Float[Tensor, "n c h w"]:
    """Return each input as its map shows it; beyond the edge is what is at the edge."""
    height, width = inputs.shape[2:]
    # A turn is one of the picture, not of the square that [-1, 1] makes of it.
    aspect = torch.tensor([[1.0, height / width, 1.0], [width / height, 1.0, 1.0]])
    maps = maps * aspect
    grid = F.affine_grid(maps.to(inputs), list(inputs.shape), align_corners=False)
    seen: Tensor = F.grid_sample(inputs, grid, padding_mode="border", align_corners=False)
    return seen


def view_features(
    backbone: Backbone,
    picture: UInt8[Tensor, "c h w"],
    count: int,
    augmentation: Augmentation,
    generator: torch.Generator,
) -> Float[Tensor, "count d"]:
    """Return the features of random views of one picture, as float32 on the CPU.

    It takes about `count` times as long as the picture's own feature.

    Raises:
        ConfigError: the backbone's scaler was never fitted.
        DataError: the picture is neither grey nor RGB, or a feature is not finite.
    """
    maps = draw_maps(count, augmentation, generator)
    with torch.inference_mode():
        shown = backbone.inputs(picture[None].to(device_of(backbone)))
        parts = [
            backbone.features_of_inputs(warped(shown.expand(len(some), -1, -1, -1), some))
            for some in maps.split(_BATCH)
        ]
        found = torch.cat(parts)
    return found.cpu().clone()  # a tensor of inference mode could not be trained on
