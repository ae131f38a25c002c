"""Random views of one picture: what a protected picture need not keep, or must survive.

All of it can be differentiated in the picture, so that a protector learns to survive it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sfumato.errors import ConfigError

Images = Float[Tensor, "n c h w"]
_LEAST_SHARE, _MOST_SHARE = 0.35, 0.85  # of the side, to which a blurred batch shrinks
_LEAST_SIDE = 4
_GREY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Deformation:
    """Largest changes between two views of one picture; what they change is what is forgotten."""

    rotate: float = 14.0
    """Degrees to either side."""
    zoom: float = 0.15
    """Of height and width, each on its own: 0.15 is 0.85 to 1.15."""
    shear: float = 0.25
    """Sideways shift of the upper edge as a share of the height; upright writing leans so far."""
    move: float = 0.1
    """Shift in either direction, as a share of half the side."""
    light: float = 0.0
    """Strength of a random ramp across the picture, added and multiplied: backgrounds and shade."""
    mirror: float = 0.0
    """Share of the pictures that are mirrored."""
    blur: float = 0.0
    """Share of the batches that are shrunk and enlarged again, as a pipeline that resizes does."""
    noise: float = 0.0
    """Standard deviation of noise added to every pixel."""
    near: float = 0.0
    """How much nearer a picture may be looked at, beyond `zoom`: 0.35 shows 0.65 of its side."""
    cover: float = 0.0
    """Share of the pictures of which a grey rectangle, up to half a side long, covers a part."""

    def __post_init__(self) -> None:
        strengths = (self.rotate, self.zoom, self.shear, self.move, self.light, self.noise)
        shares = (self.mirror, self.blur, self.cover)
        zooms = (self.zoom, self.near)
        if min(*strengths, *shares, *zooms) < 0 or max(zooms) >= 1 or max(shares) > 1:
            raise ConfigError(
                "deformations must not be negative, zoom and near below 1, shares at most 1; "
                f"got {self}"
            )


FACE_AUGMENTATION = Deformation(
    rotate=6.0, zoom=0.12, shear=0.0, move=0.08, light=0.12, mirror=0.5, blur=0.5, noise=0.02
)
"""How an aligned face may look to a classifier or matcher that nobody knows."""


def random_view(images: Images, deformation: Deformation) -> Images:
    """Return each picture turned, stretched, moved, lit and worsened at random, in [0, 1]."""
    count = len(images)
    angle = _draw(count, math.radians(deformation.rotate), images)
    tall, wide = (1 + _draw(count, deformation.zoom, images) for _ in range(2))
    if deformation.near:
        nearer = 1 - deformation.near * torch.rand(count, device=images.device)
        tall, wide = tall * nearer, wide * nearer
    shear = _draw(count, deformation.shear, images)
    maps = torch.zeros(count, 2, 3, device=images.device)
    maps[:, 0, 0], maps[:, 0, 1] = angle.cos() * wide, shear - angle.sin() * wide
    maps[:, 1, 0], maps[:, 1, 1] = angle.sin() * tall, angle.cos() * tall
    maps[:, 0, 2], maps[:, 1, 2] = (_draw(count, deformation.move, images) for _ in range(2))
    if deformation.mirror:
        flipped = torch.rand(count, device=images.device) < deformation.mirror
        maps[:, :, 0] = torch.where(flipped[:, None], -maps[:, :, 0], maps[:, :, 0])
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    # Beyond the edge is what is at the edge: a frame would say how far a picture was moved.
    seen = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    if deformation.blur and float(torch.rand(())) < deformation.blur:
        seen = _blurred(seen)
    if deformation.light:
        seen = _lit(seen, deformation.light)
    if deformation.cover:
        seen = _covered(seen, deformation.cover)
    if deformation.noise:
        seen = (seen + deformation.noise * torch.randn_like(seen)).clamp(0, 1)
    return seen


def _blurred(images: Images) -> Images:
    height, width = images.shape[2:]
    share = _LEAST_SHARE + (_MOST_SHARE - _LEAST_SHARE) * float(torch.rand(()))
    small = (max(_LEAST_SIDE, round(share * height)), max(_LEAST_SIDE, round(share * width)))
    shrunk = F.interpolate(images, small, mode="bilinear", antialias=True)
    return F.interpolate(shrunk, (height, width), mode="bilinear")


def _lit(images: Images, light: float) -> Images:
    count, _, height, width = images.shape
    down = torch.linspace(-1, 1, height, device=images.device)[:, None]
    across = torch.linspace(-1, 1, width, device=images.device)[None]

    def ramp() -> Tensor:
        a, b, c = (_draw(count, light, images)[:, None, None] for _ in range(3))
        return (a + b * down + c * across)[:, None]

    return (images * (1 + ramp()) + ramp()).clamp(0, 1)


def _covered(images: Images, share: float) -> Images:
    count, _, height, width = images.shape
    device = images.device
    # Each picture has a place of its own; torchvision's RandomErasing has one for a whole batch.
    centre = torch.rand(2, count, 1, device=device)
    half = torch.rand(2, count, 1, device=device) / 4
    within = [
        ((torch.arange(side, device=device) + 0.5) / side - centre[i]).abs() < half[i]
        for i, side in enumerate((height, width))
    ]
    covered = within[0][:, None, :, None] & within[1][:, None, None, :]
    chosen = (torch.rand(count, device=device) < share)[:, None, None, None]
    return torch.where(covered & chosen, _GREY, images)


def _draw(count: int, most: float, like: Tensor) -> Tensor:
    return (2 * torch.rand(count, device=like.device) - 1) * most
