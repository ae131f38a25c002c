"""Random views of one picture: what an anonymised picture need not keep."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sfumato.errors import ConfigError

Images = Float[Tensor, "n c h w"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deformation:
    """Largest changes between two views of one picture; what they change is what is forgotten."""

    turn: float = 14.0
    """Degrees to either side."""
    zoom: float = 0.15
    """Of height and width, each on its own: 0.15 is 0.85 to 1.15."""
    shear: float = 0.25
    """Sideways shift of the upper edge as a share of the height; upright writing leans so far."""
    move: float = 0.1
    """Shift in either direction, as a share of half the side."""
    light: float = 0.0
    """Strength of a random ramp across the picture, added and multiplied: backgrounds and shade."""

    def __post_init__(self) -> None:
        if min(self.turn, self.zoom, self.shear, self.move, self.light) < 0 or self.zoom >= 1:
            raise ConfigError(f"deformations must not be negative, zoom below 1; got {self}")


def random_view(images: Images, deformation: Deformation) -> Images:
    """Return each picture turned, stretched, sheared, moved and lit at random, in [0, 1]."""
    count = len(images)
    angle = _draw(count, math.radians(deformation.turn), images)
    tall, wide = (1 + _draw(count, deformation.zoom, images) for _ in range(2))
    shear = _draw(count, deformation.shear, images)
    maps = torch.zeros(count, 2, 3, device=images.device)
    maps[:, 0, 0], maps[:, 0, 1] = angle.cos() * wide, shear - angle.sin() * wide
    maps[:, 1, 0], maps[:, 1, 1] = angle.sin() * tall, angle.cos() * tall
    maps[:, 0, 2], maps[:, 1, 2] = (_draw(count, deformation.move, images) for _ in range(2))
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    # Beyond the edge is what is at the edge: a frame would say how far a picture was moved.
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return _lit(moved, deformation.light) if deformation.light else moved


def _lit(images: Images, light: float) -> Images:
    count, _, height, width = images.shape
    down = torch.linspace(-1, 1, height, device=images.device)[:, None]
    across = torch.linspace(-1, 1, width, device=images.device)[None]

    def ramp() -> Tensor:
        a, b, c = (_draw(count, light, images)[:, None, None] for _ in range(3))
        return (a + b * down + c * across)[:, None]

    return (images * (1 + ramp()) + ramp()).clamp(0, 1)


def _draw(count: int, most: float, like: Tensor) -> Tensor:
    return (2 * torch.rand(count, device=like.device) - 1) * most
