"""Oriented gradients: a public feature extractor that was never trained on anybody's pictures.

It needs no weights, so it works where no model can be downloaded, and unlike pixels it hardly
changes when a stroke moves by one. Descends from the histogram of oriented gradients (Dalal and
Triggs, 2005), without its block normalisation and with a soft assignment to orientations.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

_ORIENTATIONS = 8  # of a full turn: dark-to-light and light-to-dark edges differ
_GRID = 7  # cells a side, fewer where a cell would be under two pixels
_FIRST_BLUR = 0.175  # standard deviations in cells: 0.7 and 1 pixel on 28x28
_SECOND_BLUR = 0.25


class OrientedGradients(nn.Module):
    """Grey pictures in [0, 1] to the square root of gradient energy by cell and orientation.

    Shapes: (n, 1, h, w) -> (n, 8 * rows * columns) in [0, 1], where rows = min(7, h // 2) and
    columns likewise. A picture without any edge gives zeros.
    """

    def forward(self, images: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n d"]:
        """Return the features."""
        height, width = images.shape[2:]
        grid = (max(1, min(_GRID, height // 2)), max(1, min(_GRID, width // 2)))
        cell = math.sqrt((height / grid[0]) * (width / grid[1]))
        smooth = _blur(images, _FIRST_BLUR * cell)
        padded = F.pad(smooth, (1, 1, 1, 1), mode="replicate")
        dx = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
        dy = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
        energy = _blur(_by_orientation(dx, dy), _SECOND_BLUR * cell)
        pooled = F.adaptive_avg_pool2d(energy, grid)
        # Both differences lie in [-1, 1], so their length is at most the root of two.
        return (pooled / math.sqrt(2)).clamp_min(0).sqrt().flatten(1)


def _by_orientation(
    dx: Float[Tensor, "n 1 h w"], dy: Float[Tensor, "n 1 h w"]
) -> Float[Tensor, "n o h w"]:
    """Share each gradient's length among orientations by the squared cosine between them."""
    angles = [2 * math.pi * i / _ORIENTATIONS for i in range(_ORIENTATIONS)]
    # The cosine comes from a division, not from atan2: no branch cut, and it exports to ONNX.
    length = (dx.square() + dy.square() + 1e-12).sqrt()
    along = [F.relu(dx * math.cos(a) + dy * math.sin(a)).square() / length for a in angles]
    return torch.cat(along, 1)


def _blur(images: Float[Tensor, "n c h w"], sigma: float) -> Float[Tensor, "n c h w"]:
    """Gaussian blur, repeating the border, as two passes of one row or column each."""
    reach = max(1, math.ceil(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-offsets.square() / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, -1)
    padded = F.pad(images, (reach, reach, reach, reach), mode="replicate")
    rows = F.conv2d(padded, kernel[:, :, None, :], groups=images.shape[1])
    return F.conv2d(rows, kernel[:, :, :, None], groups=images.shape[1])
