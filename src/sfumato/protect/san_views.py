"""How a picture may look to a classifier that nobody knows: moved, scaled, blurred, relit, noisy.

All of it can be differentiated in the picture, so that a protector learns to survive it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

_TURN, _ZOOM, _MOVE = 0.1, 0.12, 0.08  # radians; shares of the side
_GAIN, _OFFSET, _NOISE = 0.2, 0.08, 0.02

Images = Float[Tensor, "n c h w"]


def random_view(images: Images) -> Images:
    """Return every picture turned, scaled, moved, mirrored, relit, blurred, with noise."""
    seen = _warped(images)
    if float(torch.rand(())) < 0.5:
        seen = _blurred(seen)
    count = len(images)
    gain = 1 + _GAIN * _uniform(count, images)
    offset = _OFFSET * _uniform(count, images)
    return (seen - 0.5) * gain + 0.5 + offset + _NOISE * torch.randn_like(seen)


def _uniform(count: int, like: Tensor) -> Float[Tensor, "n 1 1 1"]:
    return torch.rand(count, 1, 1, 1, device=like.device) * 2 - 1


def _warped(images: Images) -> Images:
    count = len(images)
    turn, zoom, right, down = (_uniform(count, images).flatten() for _ in range(4))
    angle, scale = _TURN * turn, 1 + _ZOOM * zoom
    mirror = torch.where(torch.rand(count, device=images.device) < 0.5, -1.0, 1.0)
    cosine, sine = angle.cos() * scale, angle.sin() * scale
    rows = [cosine * mirror, -sine, 2 * _MOVE * right, sine * mirror, cosine, 2 * _MOVE * down]
    theta = torch.stack(rows, 1).view(count, 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _blurred(images: Images) -> Images:
    """Shrink by a random factor and enlarge again, as a pipeline that resizes does."""
    height, width = images.shape[2:]
    share = 0.35 + 0.5 * float(torch.rand(()))
    small = (max(4, round(share * height)), max(4, round(share * width)))
    shrunk = F.interpolate(images, small, mode="bilinear", antialias=True)
    return F.interpolate(shrunk, (height, width), mode="bilinear")
