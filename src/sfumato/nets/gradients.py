"""Oriented gradients: a public feature extractor that was never trained on anybody's pictures.

It needs no weights, so it works where no model can be downloaded, and unlike pixels it hardly
changes when a stroke moves by one. Descends from the histogram of oriented gradients (Dalal and
Triggs, 2005), without its block normalisation and with a soft assignment to orientations.

Blurring, differences and means over cells are linear, and act on rows and columns apart. So each is
a small matrix on either side of the picture, and those that follow each other are one matrix.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

_ORIENTATIONS = 8  # of a full turn: dark-to-light and light-to-dark edges differ
_GRID = 7  # cells a side, fewer where a cell would be under two pixels
_FIRST_BLUR = 0.175  # standard deviations in cells: 0.7 and 1 pixel on 28x28
_SECOND_BLUR = 0.25

Matrix = Float[np.ndarray, "_ _"]


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
        x = images[:, 0]
        down, below = (_like(x, m) for m in _smooth_and_change(height, _FIRST_BLUR * cell))
        across, beside = (_like(x, m) for m in _smooth_and_change(width, _FIRST_BLUR * cell))
        dx, dy = down @ x @ beside.T, below @ x @ across.T
        rows, columns = (
            _like(x, _cell_means(side, cells, _SECOND_BLUR * cell))
            for side, cells in ((height, grid[0]), (width, grid[1]))
        )
        pooled = rows @ (_by_orientation(dx, dy) @ columns.T)
        # Both differences lie in [-1, 1], so their length is at most the root of two.
        return (pooled / math.sqrt(2)).clamp_min(0).sqrt().flatten(1)


def _by_orientation(
    dx: Float[Tensor, "n h w"], dy: Float[Tensor, "n h w"]
) -> Float[Tensor, "n o h w"]:
    """Share each gradient's length among orientations by the squared cosine between them."""
    angles = [2 * math.pi * i / _ORIENTATIONS for i in range(_ORIENTATIONS // 2)]
    # The cosine comes from a division, not from atan2: no branch cut, and it exports to ONNX.
    length = (dx.square() + dy.square() + 1e-12).sqrt()
    half = torch.stack([dx * math.cos(a) + dy * math.sin(a) for a in angles], 1)
    # The other half of the turn is the same with the other sign.
    return torch.cat([half, -half], 1).relu().square() / length[:, None]


def _like(x: Tensor, matrix: Matrix) -> Tensor:
    return torch.from_numpy(matrix).to(x)


@lru_cache(maxsize=64)
def _smooth_and_change(side: int, sigma: float) -> tuple[Matrix, Matrix]:
    """Return what blurs a side of a picture, and what gives twice the blurred picture's slope."""
    blur = _blur(side, sigma)
    return _stored(blur), _stored(_moved(side, 1) @ blur - _moved(side, -1) @ blur)


@lru_cache(maxsize=64)
def _cell_means(side: int, cells: int, sigma: float) -> Matrix:
    """Return what blurs a side and takes the mean of each cell, as `adaptive_avg_pool2d` does."""
    means = np.zeros((cells, side))
    for cell in range(cells):
        start, end = cell * side // cells, -(-(cell + 1) * side // cells)
        means[cell, start:end] = 1 / (end - start)
    return _stored(means @ _blur(side, sigma))


def _blur(side: int, sigma: float) -> Matrix:
    """Return a Gaussian blur of one side, repeating the border."""
    reach = max(1, math.ceil(3 * sigma))
    offsets = range(-reach, reach + 1)
    weights = [math.exp(-(offset**2) / (2 * sigma**2)) for offset in offsets]
    moved = [w * _moved(side, offset) for w, offset in zip(weights, offsets, strict=True)]
    return np.asarray(sum(moved) / sum(weights))


def _moved(side: int, offset: int) -> Matrix:
    """Return what moves a side by some pixels, repeating the border."""
    return np.eye(side)[np.clip(np.arange(side) + offset, 0, side - 1)]


def _stored(matrix: Matrix) -> Matrix:
    return matrix.astype(np.float32)
