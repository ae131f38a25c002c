"""Random views of a private picture: what an enrollment is trained on in place of the picture.

A network that saw a picture only turned, zoomed and moved tells less of whether it was among its
pictures, and knows its class better. Views are made of the network's input, after the backbone's
`Preprocess`: a large photograph is shrunk once, and an aligned face stays about where it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.device import device_of
from sfumato.features.augmentation import Augmentation
from sfumato.features.backbone import Backbone

_BATCH = 32  # views that go through the network at once
_DRAWS = 4  # numbers that make a view: angle, zoom, and both moves


def draw_maps(
    count: int, augmentation: Augmentation, generator: torch.Generator, *, reach: float = 1.0
) -> Float[Tensor, "count 2 3"]:
    """Return random maps from places of a view to places of a square picture, both in [-1, 1].

    `reach` is the share of the ranges that is taken. The page draws the same numbers from the same
    seed: four a view, in this order.
    """
    drawn = torch.rand(count, _DRAWS, generator=generator, dtype=torch.float32).double()
    angle, zoom, right, down = (reach * (2 * drawn - 1)).T
    angle = angle * math.radians(augmentation.rotation)
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
    # A rotation is one of the picture, not of the square that [-1, 1] makes of it.
    aspect = torch.tensor([[1.0, height / width, 1.0], [width / height, 1.0, 1.0]])
    maps = maps * aspect
    grid = F.affine_grid(maps.to(inputs), list(inputs.shape), align_corners=False)
    seen: Tensor = F.grid_sample(inputs, grid, padding_mode="border", align_corners=False)
    return seen


def maps_features(
    backbone: Backbone, inputs: Float[Tensor, "1 c h w"], maps: Float[Tensor, "v 2 3"]
) -> Float[Tensor, "v d"]:
    """Return the features of views of one of the backbone's inputs."""
    parts = []
    for some in maps.split(_BATCH):
        shown = inputs.expand(len(some), -1, -1, -1)
        parts.append(backbone.features_of_inputs(warped(shown, some)))
    return torch.cat(parts)


class ViewDraws:
    """Draws the views of one person's pictures, one picture after the other.

    The page draws the same ones from the same seed, for as many pictures. Without an augmentation
    a picture has none.
    """

    def __init__(
        self, backbone: Backbone, augmentation: Augmentation | None, pictures: int, *, seed: int
    ) -> None:
        self.backbone, self.augmentation = backbone, augmentation
        self.pictures = pictures
        self.generator = torch.Generator().manual_seed(seed)

    def of(self, crop: UInt8[Tensor, "_ _ _"]) -> Float[Tensor, "v d"] | None:
        """Return the features of the views of a picture (of `only_crop`), as float32 on the CPU.

        It takes as many times as long as the picture's own feature.

        Raises:
            ConfigError: the backbone's scaler was never fitted.
            DataError: the picture is neither grey nor RGB, or a feature is not finite.
        """
        if self.augmentation is None:
            return None
        each, reach = self.augmentation.views(self.pictures), self.augmentation.reach(self.pictures)
        maps = draw_maps(each, self.augmentation, self.generator, reach=reach)
        with torch.inference_mode():
            inputs = self.backbone.inputs(crop[None].to(device_of(self.backbone)))
            found = maps_features(self.backbone, inputs, maps)
        return found.cpu().clone()  # a tensor of inference mode could not be trained on


def stacked_views(views: Sequence[Float[Tensor, "v d"] | None]) -> Float[Tensor, "n v d"] | None:
    """Return the views of all pictures as one tensor, or None where there are none."""
    every = [some for some in views if some is not None]
    return torch.stack(every) if every else None
