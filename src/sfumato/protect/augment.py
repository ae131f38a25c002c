"""Random views of one picture: what a protected picture need not keep, or must survive.

All of it can be differentiated in the picture, so that a protector learns to survive it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sfumato.protect.deformation import Deformation

Images = Float[Tensor, "n c h w"]
_LEAST_SHARE, _MOST_SHARE = 0.35, 0.85  # of the side, to which a blurred batch shrinks
_LEAST_SIDE = 4
_GREY = 0.5


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
